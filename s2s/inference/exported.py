"""What `s2s export` writes: a model as ONNX graphs, with everything that is needed to use it without torch.

    export.json      its origin, the names of the graphs' inputs and outputs, checksums of the other files and of itself
    encoder.onnx     the computation that is done once per sentence
    step.onnx        one step of the decoder
    weights.bin      the weights of both graphs
    tokenizer/       as in the bundle; source_tokenizer/ and target_tokenizer/ if there are two
    README.md        the card, for people

As with a bundle, nothing in it is executed or unpickled.
"""

from pathlib import Path

from s2s.inference.shipped import Shipped

ENCODER, STEP, WEIGHTS, README = "encoder.onnx", "step.onnx", "weights.bin", "README.md"
SEARCH_OPTIONS = "search_options"
"""Entry of the configuration: the options of the recommended search, which the runtime cannot import."""
RUNTIME_NEEDS = "numpy onnxruntime pluggy pyyaml regex rich sentencepiece sentencex"
"""What pip has to install for the runtime besides s2s itself: all that it imports, including SentencePiece."""

EXPORTED = Shipped(
    name="export",
    config="export.json",
    format=1,
    entries=("s2s_version", "runtime", "precision", "model", "search", "graphs", "sha256"),
    files=(ENCODER, STEP, WEIGHTS),
    command="s2s export",
)


def is_exported(folder: str | Path) -> bool:
    """Whether a folder looks like one that `s2s export` wrote."""
    return (Path(folder) / EXPORTED.config).is_file()
