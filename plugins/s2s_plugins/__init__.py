"""The parts that come with s2s, registered through the same entry points as third-party ones. Imports no torch."""

from s2s.registry import hookimpl


@hookimpl
def s2s_cells() -> dict[str, str]:
    """Recurrent cells."""
    return {
        "Elman": "s2s_plugins.cells.elman:Elman",
        "GRU": "s2s_plugins.cells.gru:GRU",
        "IndRNN": "s2s_plugins.cells.indrnn:IndRNN",
        "LSTM": "s2s_plugins.cells.lstm:LSTM",
        "LayerNormLSTM": "s2s_plugins.cells.layer_norm_lstm:LayerNormLSTM",
        "MGU": "s2s_plugins.cells.mgu:MGU",
        "MinGRU": "s2s_plugins.cells.mingru:MinGRU",
        "MinLSTM": "s2s_plugins.cells.minlstm:MinLSTM",
        "MultiplicativeLSTM": "s2s_plugins.cells.multiplicative_lstm:MultiplicativeLSTM",
        "PeepholeLSTM": "s2s_plugins.cells.peephole_lstm:PeepholeLSTM",
        "QRNN": "s2s_plugins.cells.qrnn:QRNN",
        "SLSTM": "s2s_plugins.cells.slstm:SLSTM",
        "SRU": "s2s_plugins.cells.sru:SRU",
        "SSRU": "s2s_plugins.cells.ssru:SSRU",
    }


@hookimpl
def s2s_attentions() -> dict[str, str]:
    """Attention mechanisms."""
    return {
        "Bahdanau": "s2s_plugins.attention.bahdanau:Bahdanau",
        "Coverage": "s2s_plugins.attention.history:Coverage",
        "Entmax15": "s2s_plugins.attention.sparse:Entmax15",
        "LocalP": "s2s_plugins.attention.local:LocalP",
        "Location": "s2s_plugins.attention.history:Location",
        "LuongConcat": "s2s_plugins.attention.luong:LuongConcat",
        "LuongDot": "s2s_plugins.attention.luong:LuongDot",
        "LuongGeneral": "s2s_plugins.attention.luong:LuongGeneral",
        "MultiHead": "s2s_plugins.attention.multi_head:MultiHead",
        "ScaledDot": "s2s_plugins.attention.scaled_dot:ScaledDot",
        "Sparsemax": "s2s_plugins.attention.sparse:Sparsemax",
    }


@hookimpl
def s2s_encoders() -> dict[str, str]:
    """Encoders."""
    return {
        "Convolutional": "s2s_plugins.encoders.convolutional:ConvolutionalEncoder",
        "GNMT": "s2s_plugins.encoders.gnmt:GNMTEncoder",
        "Recurrent": "s2s_plugins.encoders.recurrent:RecurrentEncoder",
        "Transformer": "s2s_plugins.encoders.transformer:TransformerEncoder",
    }


@hookimpl
def s2s_bridges() -> dict[str, str]:
    """Bridges from the encoder's state to the decoder's."""
    return {"Linear": "s2s_plugins.bridges.linear:LinearBridge"}


@hookimpl
def s2s_decoders() -> dict[str, str]:
    """Decoders."""
    return {
        "Bahdanau": "s2s_plugins.decoders.bahdanau:BahdanauDecoder",
        "ConditionalGRU": "s2s_plugins.decoders.conditional:ConditionalDecoder",
        "GNMT": "s2s_plugins.decoders.gnmt:GNMTDecoder",
        "InputFeeding": "s2s_plugins.decoders.input_feeding:InputFeedingDecoder",
        "Recurrent": "s2s_plugins.decoders.recurrent:RecurrentDecoder",
    }


@hookimpl
def s2s_heads() -> dict[str, str]:
    """Output heads."""
    return {
        "PointerGenerator": "s2s_plugins.heads.pointer_generator:PointerGenerator",
        "Softmax": "s2s_plugins.heads.softmax:SoftmaxHead",
    }


@hookimpl
def s2s_embeddings() -> dict[str, str]:
    """Embeddings of tokens."""
    return {
        "Lookup": "s2s_plugins.embeddings.lookup:LookupEmbedding",
        "Pretrained": "s2s_plugins.embeddings.pretrained:PretrainedEmbedding",
    }


@hookimpl
def s2s_tokenizers() -> dict[str, str]:
    """Tokenizers."""
    return {
        "Bytes": "s2s_plugins.tokenizers.bytes:Bytes",
        "Characters": "s2s_plugins.tokenizers.characters:Characters",
        "Labels": "s2s_plugins.tokenizers.labels:Labels",
        "SentencePiece": "s2s_plugins.tokenizers.sentencepiece:SentencePiece",
        "Words": "s2s_plugins.tokenizers.words:Words",
    }


@hookimpl
def s2s_corpora() -> dict[str, str]:
    """Readers of text pairs."""
    return {
        "Columns": "s2s_plugins.corpora.columns:Columns",
        "CoNLLU": "s2s_plugins.corpora.conllu:CoNLLU",
        "JSONL": "s2s_plugins.corpora.jsonl:JSONL",
        "Lines": "s2s_plugins.corpora.lines:Lines",
        "Parallel": "s2s_plugins.corpora.parallel:Parallel",
        "TSV": "s2s_plugins.corpora.tsv:TSV",
    }


@hookimpl
def s2s_metrics() -> dict[str, str]:
    """Metrics of outputs."""
    return {
        "BLEU": "s2s_plugins.metrics.bleu:BLEU",
        "ChrF": "s2s_plugins.metrics.chrf:ChrF",
        "ROUGE1": "s2s_plugins.metrics.rouge:ROUGE1",
        "ROUGE2": "s2s_plugins.metrics.rouge:ROUGE2",
        "ROUGEL": "s2s_plugins.metrics.rouge:ROUGEL",
        "ROUGELsum": "s2s_plugins.metrics.rouge:ROUGELsum",
        "TER": "s2s_plugins.metrics.ter:TER",
    }


@hookimpl
def s2s_search_strategies() -> dict[str, str]:
    """Search strategies."""
    return {
        "Beam": "s2s_plugins.search.beam:Beam",
        "ConstrainedBeam": "s2s_plugins.search.constrained:ConstrainedBeam",
        "DiverseBeam": "s2s_plugins.search.diverse:DiverseBeam",
        "Greedy": "s2s_plugins.search.greedy:Greedy",
        "Sampling": "s2s_plugins.search.sampling:Sampling",
    }


@hookimpl
def s2s_tasks() -> dict[str, str]:
    """Tasks that `s2s fit` can train."""
    return {
        "Forecast": "s2s_plugins.tasks.forecast:ForecastTask",
        "LanguageModel": "s2s_plugins.tasks.language_model:LanguageModelTask",
        "Seq2Seq": "s2s_plugins.tasks.seq2seq:Seq2SeqTask",
        "SequenceClassification": "s2s_plugins.tasks.classification:SequenceClassification",
        "SequenceLabelling": "s2s_plugins.tasks.sequence_labelling:SequenceLabelling",
    }


@hookimpl
def s2s_commands() -> dict[str, str]:
    """Sub-commands of `s2s`."""
    return {
        "align": "s2s.commands.align:main",
        "average": "s2s.commands.average:main",
        "classify": "s2s.commands.classify:main",
        "convert": "s2s.commands.convert:main",
        "data": "s2s.commands.data:main",
        "demo": "s2s.commands.demo:main",
        "diagnose": "s2s.commands.diagnose:main",
        "evaluate": "s2s.commands.evaluate:main",
        "export": "s2s.commands.export:main",
        "fit": "s2s.commands.fit:main",
        "forecast": "s2s.commands.forecast:main",
        "generate": "s2s.commands.generate:main",
        "heatmap": "s2s.commands.heatmap:main",
        "inspect": "s2s.commands.inspect:main",
        "label": "s2s.commands.label:main",
        "plugins": "s2s.commands.plugins:main",
        "score": "s2s.commands.score:main",
        "shortlist": "s2s.commands.shortlist:main",
        "summarize": "s2s.commands.summarize:main",
        "test": "s2s.commands.test:main",
        "tokenizer": "s2s.commands.tokenizer:main",
        "translate": "s2s.commands.translate:main",
        "validate": "s2s.commands.validate:main",
    }
