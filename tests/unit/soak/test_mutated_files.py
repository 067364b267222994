"""What the campaign spoils may be spoilt already, in any way."""

import pickle
import random
import zipfile
from pathlib import Path

import pytest

from soak.mutated_files import pickle_of, protobuf_of, spoil, yaml_of


def test_a_pickle_without_numbers_is_spoilt() -> None:
    empty = pickle.dumps([])
    assert all(pickle_of(empty, random.Random(seed))[0] != empty for seed in range(20))


def test_a_bomb_is_spoilt_without_being_followed() -> None:
    """Ten levels of ten: whoever follows them all holds ten thousand million lists."""
    levels = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11)]
    bomb = "\n".join(levels).encode()
    assert any(yaml_of(bomb, random.Random(seed))[0] != bomb for seed in range(20))


def test_a_protocol_buffer_stays_small() -> None:
    """Its memory is measured: a thousand times 256 KiB is no small file."""
    large = b"\x0a\x80\x80\x10" + bytes(2**18)  # field 1, of 256 KiB
    sizes = [len(protobuf_of(large, random.Random(seed))[0]) for seed in range(300)]
    assert 2**23 < max(sizes) <= 2**24 + len(large)


@pytest.mark.parametrize("suffix", [".json", ".safetensors", ".model", ".onnx", ".ckpt", ".yaml", ".bin"])
def test_what_is_spoilt_is_spoilt_again(suffix: str, tmp_path: Path) -> None:
    chance = random.Random(suffix)
    for number in range(8):
        path = tmp_path / f"{number}{suffix}"
        with zipfile.ZipFile(path, "w") as file:  # of the others it is rubbish from the start
            file.writestr("archive/data.pkl", pickle.dumps({"a": [1, None]}))
        for _ in range(5):
            if path.is_file() and not path.is_symlink():
                assert spoil(path, chance)
