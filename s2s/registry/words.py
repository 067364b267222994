"""Parts and their options as a person types them: `NAME,KEY=VALUE`."""

import re
from collections.abc import Sequence
from typing import Any

from s2s.errors import ConfigError

_POWER = r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"
"""1e-3: to YAML 1.1 that is text."""


def given_spec(word: str, where: str) -> dict[str, Any]:
    """`NAME,KEY=VALUE,...` as a spec; see `given_options`. Commas within brackets belong to a value.

    Args:
        word: name of a part, and options of it.
        where: the option that it was given to, for messages.

    Raises:
        ConfigError: what follows the name are no options.
    """
    name, *pairs = re.split(r",(?![^[{]*[]}])", word)
    return {"class_path": name, "init_args": given_options(pairs, where)}


def given_options(pairs: Sequence[str], where: str = "--option") -> dict[str, Any]:
    """`KEY=VALUE` words as a mapping; values are read as YAML, as in a configuration.

    Args:
        pairs: the words.
        where: the option that they were given to, for messages.

    Raises:
        ConfigError: a word without "=", or a value that is no YAML.
    """
    import yaml  # most who ask for a part give no options

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
