"""The recurrent encoder-decoder core: plain torch, no text, no Lightning. All names here are public."""

from s2s.nn.attention import AdditiveScore, Attended, Attention, ScoredAttention, ScoredMemory, attend_rows
from s2s.nn.bridge import Bridge
from s2s.nn.cell import (
    Noise,
    RecurrentCell,
    State,
    advance,
    leaves,
    map_state,
    orthogonal_blocks,
    select_state,
)
from s2s.nn.coverage import coverage_loss
from s2s.nn.crf import CRF
from s2s.nn.cross_entropy import linear_cross_entropy
from s2s.nn.decoder import Decoded, Decoder, NextInput, stack_steps
from s2s.nn.dropout import SequenceDropout, check_rate, drop, dropout_mask
from s2s.nn.embedding import Embedding
from s2s.nn.encoder import Bidirectional, Encoded, SequenceEncoder, Unidirectional
from s2s.nn.head import Head, HeadLoss
from s2s.nn.kernels import tanh
from s2s.nn.labeller import SequenceLabeller
from s2s.nn.language_model import LanguageModel
from s2s.nn.linear_recurrence import linear_recurrence
from s2s.nn.onnx_operator import OnnxOperator
from s2s.nn.packed import PackedMatrix, pack_matrices
from s2s.nn.prepared import Prepared
from s2s.nn.scheduled import BeginsLate, Scheduled
from s2s.nn.scheduled_sampling import with_own_tokens
from s2s.nn.seq2seq import Seq2Seq
from s2s.nn.shortlist import Shortlisted
from s2s.nn.sizes import built_for_sizes, check_size
from s2s.nn.stack import Stack
from s2s.nn.top import top, top_log_probs
from s2s.nn.twins import holds
from s2s.nn.unroll import (
    Segments,
    last_output,
    length_mask,
    reverse_within,
    run_steps,
    stand_still,
    unroll,
    unroll_folded,
)
from s2s.nn.weight_gradients import gathered_weight_gradients
from s2s.nn.writer import Writer

__all__ = [
    "CRF",
    "AdditiveScore",
    "Attended",
    "Attention",
    "BeginsLate",
    "Bidirectional",
    "Bridge",
    "Decoded",
    "Decoder",
    "Embedding",
    "Encoded",
    "Head",
    "HeadLoss",
    "LanguageModel",
    "NextInput",
    "Noise",
    "OnnxOperator",
    "PackedMatrix",
    "Prepared",
    "RecurrentCell",
    "Scheduled",
    "ScoredAttention",
    "ScoredMemory",
    "Segments",
    "Seq2Seq",
    "SequenceDropout",
    "SequenceEncoder",
    "SequenceLabeller",
    "Shortlisted",
    "Stack",
    "State",
    "Unidirectional",
    "Writer",
    "advance",
    "attend_rows",
    "built_for_sizes",
    "check_rate",
    "check_size",
    "coverage_loss",
    "drop",
    "dropout_mask",
    "gathered_weight_gradients",
    "holds",
    "last_output",
    "leaves",
    "length_mask",
    "linear_cross_entropy",
    "linear_recurrence",
    "map_state",
    "orthogonal_blocks",
    "pack_matrices",
    "reverse_within",
    "run_steps",
    "select_state",
    "stack_steps",
    "stand_still",
    "tanh",
    "top",
    "top_log_probs",
    "unroll",
    "unroll_folded",
    "with_own_tokens",
]
