import torch

from s2s.text.batch import Batch, pad, pad_targets
from s2s.text.tokenizer import BOS, EOS, PAD


def test_pad_fills_on_the_right() -> None:
    padded = pad([[5, 6, 7], [8]])
    assert padded.ids.tolist() == [[5, 6, 7], [8, PAD, PAD]]
    assert padded.lengths.tolist() == [3, 1]
    assert padded.mask.tolist() == [[True, True, True], [True, False, False]]
    assert padded.ids.dtype == padded.lengths.dtype == torch.int64


def test_inputs_and_gold_are_the_target_shifted_against_itself() -> None:
    batch = Batch(pad([[9], [9]]), pad_targets([[5, 6, 7], [8]]), torch.arange(2))
    assert batch.target.ids.tolist() == [[BOS, 5, 6, 7, EOS], [BOS, 8, EOS, PAD, PAD]]
    assert batch.inputs.ids.tolist() == [[BOS, 5, 6, 7], [BOS, 8, PAD, PAD]]
    assert batch.gold.ids.tolist() == [[5, 6, 7, EOS], [8, EOS, PAD, PAD]]
    assert batch.inputs.lengths.tolist() == batch.gold.lengths.tolist() == [4, 2]


def test_empty_target_is_bos_eos() -> None:
    assert pad_targets([[]]).ids.tolist() == [[BOS, EOS]]


def test_to_keeps_the_structure() -> None:
    moved = Batch(pad([[4]]), pad_targets([[4]]), torch.tensor([7])).to("meta")
    assert (
        moved.source.ids.device.type == moved.target.lengths.device.type == moved.lines.device.type == "meta"
    )


def test_some_rows_are_no_wider_than_they_need_be() -> None:
    words = [["x"], [], ["y"]]
    batch = Batch(pad([[9], [9, 8, 7], [6, 5]]), pad_targets([[5, 6, 7], [8], []]), torch.arange(3, 6), words)
    part = batch.rows(slice(1, None))
    assert (batch.size, part.size) == (3, 2)
    assert part.source.ids.tolist() == [[9, 8, 7], [6, 5, PAD]] and part.source.lengths.tolist() == [3, 2]
    assert part.target.ids.tolist() == [[BOS, 8, EOS], [BOS, EOS, PAD]]
    assert part.lines.tolist() == [4, 5] and part.words == [[], ["y"]]
