"""The model card of a bundle: what people should know before they use it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from s2s.inference.architectures import architecture
from s2s.inference.exported import RUNTIME_NEEDS
from s2s.inference.origins import place_of
from s2s.inference.upgrade import model_parts

NOT_STATED = "Not stated. Whoever made the bundle can state it with: s2s convert"


@dataclass(frozen=True)
class Card:
    """What only the author of a bundle knows about it; everything else on its model card is derived.

    Attributes:
        description: what the model is and what it was trained on; Markdown.
        licence: such as "CC BY-SA 4.0"; the licence of the training text may determine it.
        intended_use: what the model should and should not be used for; Markdown.
        command: the shell command that made it.
    """

    description: str = ""
    licence: str = ""
    intended_use: str = ""
    command: str = ""


def command_of_this_process() -> str:
    """The command line of this process, if it is `s2s`; "" in a notebook or another program."""
    program = Path(sys.argv[0])
    by_name = program.stem == "s2s" or (program.name == "__main__.py" and program.parent.name == "s2s")
    return shlex.join(["s2s", *sys.argv[1:]]) if by_name else ""


def parameters_by_part(model: nn.Module) -> dict[str, int]:
    """Number of parameters of each part of a model: "encoder" -> 5000; shared ones count once, for the first part."""
    counts = dict.fromkeys((name for name, _ in model.named_children()), 0)
    for name, parameter in model.named_parameters():
        counts[name.partition(".")[0]] += parameter.numel()
    return counts


def render(
    name: str, config: Mapping[str, Any], parameters: Mapping[str, int], file_bytes: Mapping[str, int]
) -> str:
    """The card as Markdown.

    Args:
        name: of the bundle's folder.
        config: of the bundle.
        parameters: see `parameters_by_part`.
        file_bytes: size of each file, by its name.
    """
    card, model, kind = Card(**config["card"]), config["model"], architecture(config)
    sizes = [
        f"{value:,} {key.removesuffix('vocabulary_size').strip('_')}".strip()
        for key, value in model.items()
        if key.endswith("vocabulary_size")
    ]
    sections = [
        f"# {name}",
        card.description or f"{kind.called[0].upper()}{kind.called[1:]}.",
        f"Use it with s2s {config['s2s_version']} or newer:",
        "\n".join(f"    {use.format(bundle=name)}" for use in kind.uses),
        "## Intended use",
        card.intended_use or NOT_STATED,
        "## Licence",
        card.licence or NOT_STATED,
        "## Data and training",
        _facts(config["training"]) or "Not stated.",
        "## Scores",
        _scores(config) or "None were measured.",
        "## Sizes",
        "; ".join(
            [
                f"{sum(parameters.values()):,} parameters",
                *([f"{' and '.join(sizes)} tokens"] if sizes else []),
                f"{sum(file_bytes.values()) / 1e6:,.1f} MB on disk.",
            ]
        ),
        _table(
            ["part of the model", "parameters"], [[part, f"{count:,}"] for part, count in parameters.items()]
        ),
        "## Parts",
        _table(
            ["part", "name and options"],
            [[part, f"`{json.dumps(model[part], ensure_ascii=False)}`"] for part in model_parts(model)],
        ),
        _table(
            ["brought by", ""],
            [[label, described(origin)] for label, origin in config["distributions"].items()],
        ),
    ]
    if card.command:
        sections += ["## How it was made", "\n".join(f"    {line}" for line in card.command.split("\n"))]
    return "\n\n".join(sections) + "\n"


def render_export(name: str, config: Mapping[str, Any], file_bytes: Mapping[str, int]) -> str:
    """The card of what `s2s export` wrote, as Markdown.

    Args:
        name: of its folder.
        config: of the export.
        file_bytes: size of each file, by its name.
    """
    card, model = Card(**config.get("card", {})), config["model"]
    sections = [
        f"# {name}",
        card.description or "A recurrent encoder-decoder model.",
        f"As ONNX graphs in {config['precision']}, for s2s {config['s2s_version']} or newer; no torch is needed:",
        f"    pip install {RUNTIME_NEEDS}\n    pip install --no-deps FOLDER_OF_A_CHECKOUT_OF_S2S\n"
        f"    s2s translate {name} < source.txt > target.txt",
        "## Intended use",
        card.intended_use or NOT_STATED,
        "## Licence",
        card.licence or NOT_STATED,
        "## Data and training",
        _facts(config.get("training", {})) or "Not stated.",
        "## Scores",
        "Of the bundle that it was made of, in the precision in which they were measured; "
        "`s2s export --compare` measures what it lost.",
        _scores(config) if config.get("scores") else "None were measured.",
        "## Sizes",
        f"{model['source_vocabulary_size']:,} source and {model['target_vocabulary_size']:,} target tokens; "
        f"{sum(file_bytes.values()) / 1e6:,.1f} MB on disk.",
    ]
    return "\n\n".join(sections) + "\n"


def described(origin: Mapping[str, str]) -> str:
    """Where a part comes from, in words; see `s2s.inference.origins`."""
    if "folder" in origin:
        return f"a {place_of(origin)} {origin['folder']} (--plugin-dir)"
    return f"{origin['distribution']} {origin['version']}".strip()


def _scores(config: Mapping[str, Any]) -> str:
    # A list: the bars of a signature would end the cells of a table.
    return "\n".join(
        f"- {score['name']} {score['value']:.{score.get('decimals', 2)}f}, "
        f"{score['sentences']} {score.get('unit', 'sentences')}, "
        f"`{score['signature']}`"
        for score in config["scores"]
    )


def _facts(training: Mapping[str, Any]) -> str:
    return "\n".join(
        f"- {name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in training.items()
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
