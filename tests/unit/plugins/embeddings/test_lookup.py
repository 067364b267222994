"""The embedding by table."""

import torch

from s2s_plugins.embeddings.lookup import LookupEmbedding

TOKENS = torch.tensor([[3, 1, 3, 0], [2, 2, 0, 0]])


def test_rows_of_the_table() -> None:
    embedding = LookupEmbedding(5, size=3)
    vectors = embedding(TOKENS)
    assert vectors.shape == (2, 4, 3)
    for row in range(2):
        for time in range(4):
            assert torch.equal(vectors[row, time], embedding.weight[TOKENS[row, time]])
    assert embedding.table() is embedding.weight and embedding.size == 3
    assert embedding(TOKENS[:, 0]).shape == (2, 3)


def test_dropout_by_position_or_by_sentence() -> None:
    torch.manual_seed(0)
    for variational in (False, True):
        embedding = LookupEmbedding(5, size=50, dropout=0.5, variational=variational)
        assert torch.equal(embedding.eval()(TOKENS), embedding.weight[TOKENS])
        dropped = embedding.train()(TOKENS) == 0
        assert bool((dropped == dropped[:, :1]).all()) == variational
        assert not torch.equal(dropped[0], dropped[1])
        kept = ~dropped
        torch.testing.assert_close(
            embedding(TOKENS).abs().max(), 2 * embedding.weight[:4].abs().max(), rtol=1, atol=0
        )
        assert kept.any()


def test_token_dropout_drops_whole_tokens() -> None:
    torch.manual_seed(0)
    embedding = LookupEmbedding(5, size=6, token_dropout=0.5).train()
    gone = embedding(TOKENS.repeat(20, 1)) == 0
    assert bool((gone.all(-1) == gone.any(-1)).all())
    assert 0.2 < float(gone.all(-1).double().mean()) < 0.8
    assert torch.equal(embedding.eval()(TOKENS), embedding.weight[TOKENS])
