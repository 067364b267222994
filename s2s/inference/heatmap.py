"""Heatmap of attention weights: source words across, target words down."""

from __future__ import annotations

import io
import unicodedata
import warnings
from typing import Any

from s2s.errors import ConfigError, DataError
from s2s.evaluation.pictures import FORMATS
from s2s.inference.alignment import Alignment

MOST_WORDS = 400
"""Maximum words on a side: viewers cannot show larger plots."""

_CELL_INCHES = 0.32
_LETTER_INCHES = 0.095
_DOTS_PER_INCH = 150
_SHAPED_SINCE = (3, 11)
"""Matplotlib before this version draws Arabic letters disconnected, and from left to right."""

_BOXES = "Last Resort"
"""A font that claims to support all characters, but draws a box for each."""

_BROAD_FONTS = (
    "Noto Sans CJK",
    "Noto Sans",
    "WenQuanYi",
    "Nanum",
    "Source Han Sans",
    "Arial Unicode",
    "Malgun",
    "Yu ",
)
"""Fonts to try first, by the beginnings of their names: sans serif, with many characters that most others lack."""


def draw(alignment: Alignment, file_format: str) -> tuple[bytes, list[str]]:
    """Draw the attention of one sentence.

    Args:
        alignment: of that sentence.
        file_format: "png" or "svg".

    Returns:
        The contents of the file, and notes on what could not be drawn as it should be.

    Raises:
        ConfigError: matplotlib is not installed, or an unknown format.
        DataError: there is nothing to draw, or too much.
    """
    if file_format not in FORMATS:
        raise ConfigError(f"unknown format {file_format!r}; choose one of {', '.join(FORMATS)}")
    source, target = alignment.source_words, alignment.target_words
    for side, words in (("source", source), ("output", target)):
        if not words:
            raise DataError(f"the {side} has no word: there is nothing to draw")
        if len(words) > MOST_WORDS:
            raise DataError(f"the {side} has {len(words)} words; a picture has room for {MOST_WORDS}")
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("a heatmap needs matplotlib; install it with: pip install 's2s[plots]'") from error

    text = "".join([*source, *target])
    families, missing = fonts_for(text)
    notes = _notes(text, missing, matplotlib.__version_info__[:2], file_format)
    settings: dict[str, Any] = {
        "font.family": families,
        "svg.hashsalt": "s2s",  # makes the file reproducible
        "axes.unicode_minus": False,
    }
    if missing:
        # Text instead of outlines: the viewer may have a font for it.
        settings["svg.fonttype"] = "none"
    across, down = (max(map(_width, words)) * _LETTER_INCHES for words in (target, source))
    size = (len(source) * _CELL_INCHES + across + 1.2, len(target) * _CELL_INCHES + down + 0.8)
    with matplotlib.rc_context(settings), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the notes tell it
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        image = axes.imshow(alignment.weights.numpy(), cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
        axes.xaxis.tick_top()
        # A dollar sign is a dollar sign.
        plain: dict[str, Any] = {"parse_math": False}
        axes.set_xticks(range(len(source)), source, rotation=90, **plain)
        axes.set_yticks(range(len(target)), target, **plain)
        axes.tick_params(length=0)
        axes.set_xticks([edge - 0.5 for edge in range(1, len(source))], minor=True)
        axes.set_yticks([edge - 0.5 for edge in range(1, len(target))], minor=True)
        axes.grid(which="minor", color="0.9", linewidth=0.6)
        axes.tick_params(which="minor", length=0)
        figure.colorbar(image, ax=axes, label="attention", shrink=min(1.0, 3.0 / size[1] + 0.2))
        contents = io.BytesIO()
        figure.savefig(
            contents,
            format=file_format,
            dpi=_DOTS_PER_INCH,
            metadata={"Date": None} if file_format == "svg" else None,
        )
    return contents.getvalue(), notes


def fonts_for(text: str) -> tuple[list[str], list[str]]:
    """Installed fonts that together cover a text, and the characters that none of them covers.

    Matplotlib's own font comes first; others are only tried for characters that it lacks.
    """
    from matplotlib import font_manager

    wanted = {sign for sign in text if not sign.isspace() and unicodedata.category(sign)[0] != "C"}
    own = font_manager.FontProperties(family="DejaVu Sans")
    families, lacking = ["DejaVu Sans"], wanted - _signs(font_manager.findfont(own))
    known = {
        font.name: font.fname
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and not font.name.startswith(_BOXES)
    }
    broad = {
        name: rank for rank, begin in enumerate(_BROAD_FONTS) for name in known if name.startswith(begin)
    }
    for name in sorted(known, key=lambda name: (broad.get(name, len(_BROAD_FONTS)), name)):
        if not lacking:
            break
        shown = lacking & _signs(known[name])
        if shown:
            families.append(name)
            lacking -= shown
    return families, sorted(lacking)


def _signs(path: str) -> set[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return {chr(code) for code in FT2Font(path).get_charmap()}
    except (OSError, RuntimeError):  # a font that cannot be read shows nothing
        return set()


def _notes(text: str, missing: list[str], version: tuple[int, ...], file_format: str) -> list[str]:
    notes = []
    if missing:
        scripts = sorted({unicodedata.name(sign, "UNKNOWN").split()[0].capitalize() for sign in missing})
        shown = " ".join(missing[:8]) + (" ..." if len(missing) > 8 else "")
        instead = (
            "boxes stand for them; an SVG leaves them to whoever views it, or install"
            if file_format == "png"
            else "they are left to the fonts of whoever views the file; for outlines, install"
        )
        notes.append(
            f"no installed font shows {shown} ({', '.join(scripts)}): {instead} a font that does, such as Noto Sans "
            "CJK (Debian: apt install fonts-noto-cjk) or Noto Sans (fonts-noto)"
        )
    leftward = any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in text)
    if leftward and version < _SHAPED_SINCE:
        notes.append(
            "this matplotlib writes Arabic and Hebrew from left to right, letter by letter; 3.11 does it properly: "
            "pip install --upgrade matplotlib"
        )
    return notes


def _width(word: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in word)
