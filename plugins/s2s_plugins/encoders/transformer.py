"""The Transformer's encoder."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn import Encoded, SequenceDropout, SequenceEncoder, check_size, length_mask
from s2s_plugins.attention.multi_head import number_of_heads
from s2s_plugins.encoders.masked_mean import masked_mean
from s2s_plugins.encoders.positions import rotate, sinusoids

Positions = Literal["sinusoidal", "rotary"]


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2.2).

    Args:
        size: width of input and output.
        heads: number of heads.
        rotary: rotate queries and keys by their positions (Su et al. 2021, eq. 16).
    """

    def __init__(self, size: int, heads: int, *, rotary: bool) -> None:
        super().__init__()
        self.heads = heads
        self.rotary = rotary
        self.input_layer = nn.Linear(size, 3 * size, bias=False)  # queries, keys, values
        self.output_layer = nn.Linear(size, size, bias=False)
        for block in (*self.input_layer.weight.data.split(size), self.output_layer.weight.data):
            nn.init.xavier_uniform_(block)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map `x` [batch, source, size]; `mask` [batch, source] is True at positions that are attended to."""
        projected = self.input_layer(x).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)  # each [batch, heads, source, head]
        if self.rotary:
            queries, keys = rotate(queries), rotate(keys)
        heads = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask[:, None, None, :])
        answer: Tensor = self.output_layer(heads.transpose(1, 2).flatten(2))
        return answer


class TransformerLayer(nn.Module):
    """Self-attention, then a position-wise feed-forward network, both pre-norm with residual connections.

    ::

        x = x + attention(norm(x))                                          Xiong et al. 2020, table 1, pre-LN
        x = x + W_2 max(0, W_1 norm(x) + b_1) + b_2                         Vaswani et al. 2017, eq. 2

    Args:
        size: width of input and output.
        heads: number of heads.
        feed_forward_size: width of the hidden layer of the feed-forward network.
        rotary: see `SelfAttention`.
        dropout: dropout on the output of each sublayer.
    """

    def __init__(
        self, size: int, heads: int, feed_forward_size: int, *, rotary: bool, dropout: float
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(size)
        self.attention = SelfAttention(size, heads, rotary=rotary)
        self.feed_forward_norm = nn.LayerNorm(size)
        self.hidden_layer = nn.Linear(size, feed_forward_size)
        self.output_layer = nn.Linear(feed_forward_size, size)
        for layer in (self.hidden_layer, self.output_layer):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.dropout = SequenceDropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map `x` [batch, source, size], with `mask` [batch, source]."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        added = self.output_layer(torch.relu(self.hidden_layer(self.feed_forward_norm(x))))
        x = x + self.dropout(added)
        return x


class TransformerEncoder(SequenceEncoder):
    """Transformer encoder (Vaswani et al. 2017, section 3.1), with pre-norm layers (Xiong et al. 2020).

    The tokens are projected linearly to `hidden_size`, then scaled by its square root, as in the paper. The outputs of
    the highest layer are normalized once more. The state is the mean of the outputs.

    Args:
        input_size: width of the embedded tokens.
        hidden_size: width of all layers and of the outputs.
        layers: number of layers.
        heads: number of heads, which must divide `hidden_size`; by default its greatest common divisor with 8.
        feed_forward_size: width of the hidden layer of each feed-forward network; by default 4 * hidden_size.
        positions: sinusoids added to the tokens (Vaswani et al. 2017, section 3.5), or rotary position embeddings (Su
            et al. 2021); both work for sentences of any length.
        dropout: dropout on the tokens and on what each layer adds (section 5.4).

    Raises:
        ConfigError: the heads do not divide the width, or rotary positions would need an even width of each head.
    """

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: int = 512,
        layers: int = 6,
        heads: int | None = None,
        feed_forward_size: int | None = None,
        positions: Positions = "sinusoidal",
        dropout: float = 0.0,
    ) -> None:
        heads = number_of_heads(heads, "hidden_size", check_size("hidden_size", hidden_size))
        if positions == "rotary" and hidden_size // heads % 2:
            raise ConfigError(
                f"rotary positions turn pairs of columns, but a head has {hidden_size // heads}; choose hidden_size as "
                f"a multiple of {2 * heads}, or positions: sinusoidal"
            )
        feed_forward_size = 4 * hidden_size if feed_forward_size is None else feed_forward_size
        super().__init__(input_size, output_size=hidden_size, feature_size=hidden_size)
        self.positions = positions
        self.input_layer = nn.Linear(input_size, hidden_size, bias=False)
        nn.init.xavier_uniform_(self.input_layer.weight)
        self.dropout = SequenceDropout(dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(
                hidden_size,
                heads,
                check_size("feed_forward_size", feed_forward_size),
                rotary=positions == "rotary",
                dropout=dropout,
            )
            for _ in range(check_size("layers", layers))
        )
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Outputs [batch, source, hidden], and their mean as a 1-tuple."""
        mask = length_mask(lengths, x.size(1))
        padding = ~mask.unsqueeze(-1)
        x = x.masked_fill(padding, 0.0)
        # In the dtype of the tokens: in mixed precision, the residual sums would lose small contributions.
        x = self.input_layer(x).to(x.dtype) * math.sqrt(self.output_size)
        if self.positions == "sinusoidal":
            x = x + sinusoids(x.size(1), self.output_size, like=x)
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, mask)
        outputs = self.norm(x).masked_fill(padding, 0.0)
        return Encoded(outputs, lengths, (masked_mean(outputs, lengths),))
