"""All hooks of s2s, on one page.

A plugin is a module that implements any of these hooks and is named by an entry point of the group `s2s`:

    # my_cells/__init__.py
    from s2s.registry import hookimpl

    @hookimpl
    def s2s_cells():
        return {"SRU": "my_cells.sru:SRU"}

    # pyproject.toml
    [project.entry-points.s2s]
    my-cells = "my_cells"

Each hook returns `{"Name": "package.module:Class"}`. The class is imported when a configuration names it, not
before: listing plugins stays quick, and one module that cannot be imported does not affect the
others. Names are what people write in YAML (`cell: SRU`), so they are unique among all plugins of a kind.

A plugin that needs a certain version of this interface states it in its module: `S2S_INTERFACE = 1`.
"""

import pluggy

GROUP = "s2s"
INTERFACE = 1
"""Version of the hooks and of the protocols behind them; increased when plugins may need features that older versions
of s2s lack."""
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def s2s_cells() -> dict[str, str]:  # type: ignore[empty-body]
    """Recurrent cells, `s2s.nn.cell.RecurrentCell`: built as `Cell(input_size, hidden_size)`."""


@hookspec
def s2s_attentions() -> dict[str, str]:  # type: ignore[empty-body]
    """Attention, `s2s.nn.attention.Attention`: built as `Attention(query_size, memory_size)`."""


@hookspec
def s2s_encoders() -> dict[str, str]:  # type: ignore[empty-body]
    """Encoders, `s2s.nn.encoder.SequenceEncoder`: built as `Encoder(input_size)`."""


@hookspec
def s2s_bridges() -> dict[str, str]:  # type: ignore[empty-body]
    """Bridges between states, `s2s.nn.bridge.Bridge`: `Bridge(encoder_features, decoder_features)`."""


@hookspec
def s2s_decoders() -> dict[str, str]:  # type: ignore[empty-body]
    """Decoders, `s2s.nn.decoder.Decoder`: built as `Decoder(input_size, memory_size)`."""


@hookspec
def s2s_heads() -> dict[str, str]:  # type: ignore[empty-body]
    """Heads, `s2s.nn.head.Head`: built as `Head(hidden_size, context_size, input_size, vocabulary_size)`."""


@hookspec
def s2s_embeddings() -> dict[str, str]:  # type: ignore[empty-body]
    """Embeddings of tokens, `s2s.nn.embedding.Embedding`: built as `Embedding(vocabulary_size)`."""


@hookspec
def s2s_tokenizers() -> dict[str, str]:  # type: ignore[empty-body]
    """Tokenizers, `s2s.text.tokenizer.Tokenizer`: built from options, then trained or loaded."""


@hookspec
def s2s_corpora() -> dict[str, str]:  # type: ignore[empty-body]
    """Readers of text pairs from files of one format."""


@hookspec
def s2s_metrics() -> dict[str, str]:  # type: ignore[empty-body]
    """Metrics, `s2s.evaluation.metric.Metric`: a score carries its signature."""


@hookspec
def s2s_search_strategies() -> dict[str, str]:  # type: ignore[empty-body]
    """Search strategies, `s2s.search.strategy.SearchStrategy`: they see only a Stepper."""


@hookspec
def s2s_tasks() -> dict[str, str]:  # type: ignore[empty-body]
    """Tasks, `s2s.training.task.Task`: the LightningModule and the DataModule that `s2s fit` drives."""


@hookspec
def s2s_commands() -> dict[str, str]:  # type: ignore[empty-body]
    """Sub-commands: `main(argv: list[str]) -> int`, with a one-line constant `SUMMARY` in the same module."""


KINDS = {
    "cell": "s2s_cells",
    "attention": "s2s_attentions",
    "encoder": "s2s_encoders",
    "bridge": "s2s_bridges",
    "decoder": "s2s_decoders",
    "head": "s2s_heads",
    "embedding": "s2s_embeddings",
    "tokenizer": "s2s_tokenizers",
    "corpus": "s2s_corpora",
    "metric": "s2s_metrics",
    "search": "s2s_search_strategies",
    "task": "s2s_tasks",
    "command": "s2s_commands",
}
"""Kind of part, as in configurations and `s2s plugins list` -> the hook that returns its parts."""
