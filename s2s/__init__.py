"""s2s: recurrent encoder-decoder models, text in and text out, with every part a plugin.

The public names below are imported when they are first used, so that `import s2s` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from s2s.diagnosis.diagnosis import diagnose
    from s2s.errors import BundleError, ConfigError, DataError, PluginError, S2SError
    from s2s.inference.classifier import Classifier
    from s2s.inference.forecaster import Forecaster
    from s2s.inference.generator import Generator
    from s2s.inference.labeller import Labeller
    from s2s.inference.line import Line
    from s2s.inference.summarizer import Summarizer
    from s2s.inference.translator import Translator
    from s2s.nn.attention import Attention
    from s2s.nn.cell import RecurrentCell
    from s2s.nn.decoder import Decoder
    from s2s.nn.encoder import SequenceEncoder
    from s2s.nn.head import Head
    from s2s.registry import catalogue
    from s2s.runtime.translator import OnnxTranslator
    from s2s.search.strategy import SearchStrategy
    from s2s.text.tokenizer import Tokenizer
    from s2s.training.cli import fit

_HOME = {
    "Attention": "s2s.nn.attention",
    "BundleError": "s2s.errors",
    "Classifier": "s2s.inference.classifier",
    "ConfigError": "s2s.errors",
    "DataError": "s2s.errors",
    "Decoder": "s2s.nn.decoder",
    "Forecaster": "s2s.inference.forecaster",
    "Generator": "s2s.inference.generator",
    "Head": "s2s.nn.head",
    "Labeller": "s2s.inference.labeller",
    "Line": "s2s.inference.line",
    "OnnxTranslator": "s2s.runtime.translator",
    "PluginError": "s2s.errors",
    "RecurrentCell": "s2s.nn.cell",
    "S2SError": "s2s.errors",
    "SearchStrategy": "s2s.search.strategy",
    "SequenceEncoder": "s2s.nn.encoder",
    "Summarizer": "s2s.inference.summarizer",
    "Tokenizer": "s2s.text.tokenizer",
    "Translator": "s2s.inference.translator",
    "catalogue": "s2s.registry",
    "diagnose": "s2s.diagnosis.diagnosis",
    "fit": "s2s.training.cli",
}

__all__ = [
    "Attention",
    "BundleError",
    "Classifier",
    "ConfigError",
    "DataError",
    "Decoder",
    "Forecaster",
    "Generator",
    "Head",
    "Labeller",
    "Line",
    "OnnxTranslator",
    "PluginError",
    "RecurrentCell",
    "S2SError",
    "SearchStrategy",
    "SequenceEncoder",
    "Summarizer",
    "Tokenizer",
    "Translator",
    "__version__",
    "catalogue",
    "diagnose",
    "fit",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 's2s' has no attribute {name!r}; its public names: {', '.join(_HOME)}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
