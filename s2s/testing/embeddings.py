"""The conformance kit for embeddings.

Each check takes a factory (vocabulary_size) -> Embedding: a class, or a partial with the embedding's options.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from s2s.nn.embedding import Embedding
from s2s.testing import constructors, models
from s2s.testing.comparing import TOLERANCES, expect_close, expect_shape
from s2s.testing.kit import Check, Nonconforming
from s2s.testing.modules import (
    expect_exported,
    expect_gradients,
    expect_nothing_kept,
    expect_same,
    expect_same_on_accelerator,
    unsettle,
    with_gradients,
)

EmbeddingFactory = Callable[[int], Embedding]

VOCABULARY, SIZE = 11, 6


def check_constructor(factory: EmbeddingFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_shapes(factory: EmbeddingFactory) -> None:
    """Tokens of any shape become vectors of the declared size, that of the option `size` if there is one."""
    embedding = build(factory)
    if models.takes(factory, "size") and embedding.size != SIZE:
        raise Nonconforming(
            f"that size={SIZE} makes an embedding of size {embedding.size}", f"{SIZE}", "Pass size on."
        )
    if embedding.vocabulary_size != VOCABULARY:
        raise Nonconforming(
            f"a vocabulary_size of {embedding.vocabulary_size}",
            f"{VOCABULARY}, as it was given",
            "Pass vocabulary_size to super().__init__.",
        )
    for shape in ((VOCABULARY,), (2, 3), (1, 1), (2, 3, 2)):
        tokens = draw_tokens(shape)
        what = f"vectors of tokens {shape}"
        expect_shape(what, embedding(tokens), (*shape, embedding.size), "pass size to super().__init__")


def check_every_token(factory: EmbeddingFactory) -> None:
    """A token has one vector, wherever it occurs and whatever is beside it; different tokens have different ones."""
    embedding = build(factory)
    every = embedding(torch.arange(VOCABULARY))
    tokens = draw_tokens((3, 7))
    remedy = "In evaluation, a vector depends on its token alone: a search computes each once."
    expect_close("vectors of tokens in a batch and alone", embedding(tokens), every[tokens], remedy)
    distances = torch.cdist(every, every) + torch.eye(VOCABULARY, dtype=every.dtype)
    if not distances.gt(0).all():
        one, other = distances.eq(0).nonzero()[0].tolist()
        raise Nonconforming(
            f"that tokens {one} and {other} have the same vector",
            "that each token has its own",
            "Look for tokens that are mapped to the same row.",
        )


def check_several(factory: EmbeddingFactory) -> None:
    """`several` equals one call after the other, in values and gradients."""
    embedding = build(factory)
    some = [draw_tokens(shape) for shape in ((3, 4), (3, 2), (5,))]
    found, expected = embedding.several(*some), [embedding(tokens) for tokens in some]
    if len(found) != len(expected):
        raise Nonconforming(f"{len(found)} answers of several", f"{len(expected)}", "Return one per input.")
    expect_same(
        with_gradients({f"vectors {i}": value for i, value in enumerate(found)}, {}, embedding),
        with_gradients({f"vectors {i}": value for i, value in enumerate(expected)}, {}, embedding),
        "of several and one by one",
        "Override several together with forward, or neither.",
    )


def check_table(factory: EmbeddingFactory) -> None:
    """`table` is None or the embedding's own parameter [vocabulary, size], and every row gets a gradient."""
    embedding = build(factory)
    table = embedding.table()
    if table is None:
        return
    expect_shape("the table", table, (VOCABULARY, embedding.size), "return the parameter, or None")
    own = [parameter for parameter in embedding.parameters() if parameter is table]
    if not isinstance(table, nn.Parameter) or not own or embedding.table() is not table:
        raise Nonconforming(
            "a table that is no parameter of the embedding",
            "the parameter itself: an output layer that is tied to it shares its memory",
            "Return the parameter, not a copy or a view of it; or None.",
        )
    values = {"vectors": embedding(torch.arange(VOCABULARY))}
    gradient = with_gradients(values, {"the table": table}, embedding)["gradient of the table"]
    if not gradient.ne(0).any(-1).all():
        raise Nonconforming(
            "rows of the table that no token's vector depends on",
            "one row for each token",
            "Return None if vectors are not computed from the table's rows.",
        )


def check_mixed_precision(factory: EmbeddingFactory) -> None:
    """Under bfloat16 autocast the vectors are the same within rounding."""
    embedding = build(factory, torch.float32)
    tokens = torch.arange(VOCABULARY)
    with torch.autocast(tokens.device.type, torch.bfloat16):
        found = embedding(tokens)
    remedy = "Take what bfloat16 cannot hold in float32 at least."
    what = "vectors in bfloat16 and in float32"
    expect_close(what, found, embedding(tokens), remedy, TOLERANCES[torch.bfloat16])


def check_keeps_nothing(factory: EmbeddingFactory) -> None:
    """The same tokens give the same bits, a run leaves nothing on the part, and its state_dict is complete."""
    expect_nothing_kept(
        lambda: build(factory),
        lambda embedding: draw_tokens((3, 4)),
        lambda embedding, tokens: {"vectors": embedding(tokens)},
    )


def check_devices(factory: EmbeddingFactory) -> None:
    """On an accelerator, here an emulated one, it computes the same: no tensor stays behind on the CPU."""
    expect_same_on_accelerator(
        build(factory), draw_tokens((3, 4)), lambda embedding, tokens: {"vectors": embedding(tokens)}
    )


def check_gradients(factory: EmbeddingFactory) -> None:
    """Every parameter gets a finite gradient."""
    embedding = build(factory)
    expect_gradients({"vectors": embedding(torch.arange(VOCABULARY))}, {}, embedding)


def check_every_partner(factory: EmbeddingFactory) -> None:
    """With every registered encoder, decoder and head, and tied to the head: teacher forcing equals stepping."""
    models.expect_exact_beside("embedding", factory, ("encoder", "decoder", "head"))
    if build(factory).table() is None:
        return
    for name, head in models.registered("head"):
        models.expect_exact_with(f"tied to head {name}", size=8, tied=True, embedding=factory, head=head)


def check_export(factory: EmbeddingFactory) -> None:
    """It can be exported, for any number of tokens."""
    embedding = build(factory, torch.float32)
    expect_exported(embedding, (draw_tokens((3,)),), (draw_tokens((5,)),), ({0: "rows"},))


def check_learning(factory: EmbeddingFactory) -> None:
    """A small model with it learns to copy short sequences in a few seconds."""
    models.expect_to_learn(models.learning_model(embedding=factory), "a model with the embedding")


def build(factory: EmbeddingFactory, dtype: torch.dtype = torch.float64) -> Embedding:
    """A small embedding in evaluation mode."""
    embedding: Embedding = models.with_options(factory, size=SIZE)(VOCABULARY)
    return unsettle(embedding.to(dtype)).eval()


def draw_tokens(shape: tuple[int, ...]) -> Tensor:
    """Random tokens from the whole vocabulary."""
    return torch.randint(VOCABULARY, shape)


EMBEDDING_CHECKS = tuple(
    Check("embedding", run)
    for run in (
        check_constructor,
        check_shapes,
        check_every_token,
        check_several,
        check_table,
        check_mixed_precision,
        check_keeps_nothing,
        check_devices,
        check_gradients,
        check_every_partner,
        check_export,
        check_learning,
    )
)
