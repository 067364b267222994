"""The convolutional encoder."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn import Encoded, SequenceDropout, SequenceEncoder, check_size, length_mask
from s2s_plugins.encoders.masked_mean import masked_mean
from s2s_plugins.encoders.positions import sinusoids

POSITION_STD = 0.1
"""Initial standard deviation of learned positions (Gehring et al. 2017, section 3.5), and that of sinusoidal ones."""


class ConvolutionBlock(nn.Module):
    """A gated convolution with a residual connection (Gehring et al. 2017, sections 3.2 and 3.5).

    ::

        h_i = (glu(W [h_(i - k/2); ...; h_(i + k/2)] + b) + h_i) sqrt(0.5)
        glu([a; b]) = a sigmoid(b)                                              Dauphin et al. 2017, eq. 1

    Args:
        size: width of input and output.
        kernel_width: k, an odd number.
        dropout: dropout on the input of the convolution.
    """

    def __init__(self, size: int, kernel_width: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = SequenceDropout(dropout)
        self.weight = nn.Parameter(torch.empty(2 * size, size, kernel_width))
        self.bias = nn.Parameter(torch.zeros(2 * size))
        # Preserves the variance, which the gate reduces to a quarter (section 3.5).
        nn.init.normal_(self.weight, std=math.sqrt(4.0 * (1.0 - dropout) / (size * kernel_width)))

    def forward(self, h: Tensor, padding: Tensor) -> Tensor:
        """Map `h` [batch, size, source]; where `padding` [batch, 1, source] is True the convolution reads zeros."""
        window = self.dropout(h).masked_fill(padding, 0.0)
        both = F.conv1d(window, self.weight, self.bias, padding=self.weight.size(-1) // 2)
        return (F.glu(both, dim=1) + h) * math.sqrt(0.5)


class ConvolutionalEncoder(SequenceEncoder):
    """Tokens and their positions, then blocks of gated convolutions (Gehring et al. 2017, sections 3.1 and 3.2).

    The sequence is padded with zeros on both sides. The state is the mean of the outputs. The paper's projection of the
    highest block back to the embedding width is left out, since decoders accept any width.

    Args:
        input_size: width of the embedded tokens.
        hidden_size: width of the blocks and of the outputs.
        layers: number of blocks; an output sees layers * (kernel_width - 1) + 1 tokens.
        kernel_width: k, number of tokens that one convolution sees, an odd number.
        positions: "sinusoidal" (Vaswani et al. 2017) works for sentences of any length; "learned", as in the paper, is
            a table of limited length.
        longest: number of positions in that table; longer sentences are truncated where text is translated, classified
            or summarized, and are an error elsewhere.
        dropout: dropout on the tokens and before each convolution.

    Raises:
        ConfigError: the kernel width is even.
    """

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: int = 512,
        layers: int = 6,
        kernel_width: int = 3,
        positions: Literal["sinusoidal", "learned"] = "sinusoidal",
        longest: int = 1024,
        dropout: float = 0.0,
    ) -> None:
        check_size("hidden_size", hidden_size)
        if check_size("kernel_width", kernel_width) % 2 == 0:
            raise ConfigError(
                f"kernel_width {kernel_width} has no middle; choose an odd one, as {kernel_width + 1}"
            )
        super().__init__(input_size, output_size=hidden_size, feature_size=hidden_size)
        self.table = (
            nn.Embedding(check_size("longest", longest), input_size) if positions == "learned" else None
        )
        if self.table is not None:
            self.longest = longest
            nn.init.normal_(self.table.weight, std=POSITION_STD)
        self.dropout = SequenceDropout(dropout)
        self.input_layer = nn.Linear(input_size, hidden_size)
        nn.init.normal_(self.input_layer.weight, std=math.sqrt((1.0 - dropout) / input_size))  # section 3.5
        nn.init.zeros_(self.input_layer.bias)
        self.blocks = nn.ModuleList(
            ConvolutionBlock(hidden_size, kernel_width, dropout=dropout)
            for _ in range(check_size("layers", layers))
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Outputs [batch, source, hidden], and their mean as a 1-tuple."""
        padding = ~length_mask(lengths, x.size(1)).unsqueeze(-1)
        x = x.masked_fill(padding, 0.0)
        x = self.dropout(x + self.positions(x))
        # Channels come first from here on. In mixed precision, the residual stream keeps the dtype of the tokens.
        h = self.input_layer(x).to(x.dtype).transpose(1, 2)
        padding = padding.transpose(1, 2)
        for block in self.blocks:
            h = block(h, padding)
        outputs = h.masked_fill(padding, 0.0).transpose(1, 2)
        return Encoded(outputs, lengths, (masked_mean(outputs, lengths),))

    def positions(self, x: Tensor) -> Tensor:
        """The position encodings to add to the tokens `x` [batch, source, input]: [source, input].

        Raises:
            ConfigError: the sentence is longer than the table.
        """
        length = x.size(1)
        if self.table is None:
            return POSITION_STD * math.sqrt(2.0) * sinusoids(length, self.input_size, like=x)
        if length > self.table.num_embeddings:
            raise ConfigError(
                f"a sentence has {length} tokens, but the encoder's table of positions ends at "
                f"{self.table.num_embeddings}; train with encoder.longest as large as that, with encoder.positions: "
                f"sinusoidal, or without such sentences (data.max_source_tokens {self.table.num_embeddings})"
            )
        positions: Tensor = self.table(torch.arange(length, device=x.device))
        return positions
