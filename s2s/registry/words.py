"""Parts and their options as typed on the command line: `NAME,KEY=VALUE`."""

import re
from collections.abc import Sequence
from typing import Any

from s2s.errors import ConfigError

_POWER = r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"
"""Numbers such as 1e-3, which YAML 1.1 reads as text."""


def given_spec(word: str, where: str) -> dict[str, Any]:
    """`NAME,KEY=VALUE,...` as a spec; see `given_options`. Commas within brackets belong to a value.

    Args:
        word: name of a part, and its options.
        where: the command-line option that it was given to, for messages.

    Raises:
        ConfigError: the name is not followed by valid options.
    """
    name, *pairs = re.split(r",(?![^[{]*[]}])", word)
    return {"class_path": name, "init_args": given_options(pairs, where)}


def given_options(pairs: Sequence[str], where: str = "--option") -> dict[str, Any]:
    """`KEY=VALUE` words as a mapping; values are read as YAML, as in a configuration.

    Args:
        pairs: the words.
        where: the command-line option that they were given to, for messages.

    Raises:
        ConfigError: a word without "=", or a value that is not valid YAML.
    """
    import yaml  # only here, as most parts are given without options

    options = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise ConfigError(f"{where} {pair!r}: expected KEY=VALUE")
        try:
            options[name] = float(value) if re.fullmatch(_POWER, value) else yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"{where} {pair!r}: the value is no YAML") from error
    return options
