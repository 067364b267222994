"""Checkpoints, some by people who know what torch's loader of weights lets through."""

import os
import pickle
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from s2s.errors import BundleError
from s2s.inference.checkpoint import read_checkpoint

EMPTY: dict[str, Any] = {"state_dict": {}, "epoch": 0, "global_step": 1}
MIB = 2**20


def saved(path: Path, **entries: Any) -> Path:
    torch.save({**EMPTY, **entries}, path)
    return path


def pickled(path: Path, value: bytes) -> Path:
    """A checkpoint with a further entry, whose pickle is given."""
    good = pickle.dumps(EMPTY, protocol=2)
    assert good.endswith(b"u.")
    with zipfile.ZipFile(saved(path)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in records.items():
            more = good[:-1] + text("further") + value + b"s."
            archive.writestr(name, more if name.endswith("data.pkl") else record)
    return path


def text(letters: str) -> bytes:
    return b"X" + struct.pack("<I", len(letters)) + letters.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def test_what_training_saves_is_read(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    module.append(module[0])  # named twice, stored once
    optimizer = torch.optim.Adam(module.parameters(), betas=(0.5, 0.9))
    module(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    milestones = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 4]).state_dict()
    assert isinstance(milestones["milestones"], Counter)
    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint8, torch.bool)
    further = {
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [milestones],
        "callbacks": {"x": {"best": None, "scores": [0.5, (1, "a")], 3: 10**300}},
        "kinds": {str(kind): torch.zeros(2, 3, dtype=kind).t() for kind in kinds},
        "run": {"config": "a: 1", "rows": 3},
        "scores": [{"value": 1.0, "signature": "", "name": "BLEU", "sentences": 3}],
    }
    path = saved(tmp_path / "a.ckpt", state_dict=module.state_dict(), **further)
    read = read_checkpoint(path)
    assert all(torch.equal(value, read["state_dict"][name]) for name, value in module.state_dict().items())
    assert read["lr_schedulers"] == [milestones] and read["callbacks"] == further["callbacks"]
    assert torch.equal(read["kinds"]["torch.float16"], torch.zeros(3, 2, dtype=torch.float16))


def test_what_a_callback_may_keep_is_read(tmp_path: Path) -> None:
    """All that torch's loader of weights takes and that is as large as it looks."""
    kept = {
        "set": {1, "a"},
        "bytes": b"\x00\xff" * 50,
        "size": torch.Size([2, 3]),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "complex": 1 + 2j,
        "complexes": torch.ones(2, dtype=torch.complex64),
        "type": torch.float32,
        "device": torch.device("cpu"),
        "by pair": {(1, "a"): 3},
    }
    path = saved(tmp_path / "a.ckpt", state_dict={"w": torch.ones(1)}, callbacks={"mine": kept})
    read = read_checkpoint(path)["callbacks"]["mine"]
    for name, value in kept.items():
        same = torch.equal(read[name], value) if isinstance(value, torch.Tensor) else read[name] == value
        assert same and type(read[name]) is type(value), name


DEEP = b")" + b"\x85" * 100_000
ORDERED = b"ccollections\nOrderedDict\n"
LARGE = b"}(" + b"".join(number(i) + b"N" for i in range(2_000)) + b"uq\x63"
LISTS = b"](" + b"h\x65" * 9 + b"eq\x65"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x00tQ"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        # 400 MiB of zeros in 30 letters, and others that torch would call with a number
        (b"cbuiltins\nbytearray\n" + number(400 * MIB) + b"\x85R", "it asks for builtins.bytearray, and"),
        (b"c__builtin__\nbytearray\n" + number(400 * MIB) + b"\x85R", "it asks for __builtin__.bytearray"),
        (b"ctorch\nTensor\n" + number(400 * MIB) + b"\x85\x81", "it asks for torch.Tensor, and"),
        (b"ctorch\nSize\n](K\x01e\x85R", "it calls torch.Size in another way than torch"),
        (b"ctorch\nSize\n" + DEEP + b"\x85R", "it calls torch.Size in another way than torch"),
        (b"c__builtin__\nset\n](" + DEEP + b"e\x85R", "it calls __builtin__.set in another way than torch"),
        (
            b"c_codecs\nencode\n" + text("a") + text("utf-32") + b"\x86R",
            "it calls _codecs.encode in another way",
        ),
        (b"ctorch._utils\n_rebuild_parameter\n" + b"NNN\x87R", "it calls torch._utils._rebuild_parameter in"),
        (b"c__builtin__\ncomplex\n]\x85R", "it calls __builtin__.complex in another way than torch"),
        (b"cbuiltins\nset\n]\x85R", "it asks for builtins.set, and"),
        (b"0", "an instruction that torch does not write, POP"),
        # copies of a large mapping, a few letters each
        (
            b"](" + LARGE + ORDERED + b"h\x63\x85Re",
            "it calls collections.OrderedDict in another way than torch",
        ),
        (
            b"](" + LARGE + (b"ccollections\nCounter\nh\x63\x85R") * 50 + b"e",
            "it names what it has made again and again",
        ),
        (b"](" + LARGE + (ORDERED + b")Rh\x63b") * 50 + b"e", "it names what it has made again and again"),
        # keys whose hash overflows the stack, or has no end
        (b"}" + DEEP + b"Ns", "it has a key that is neither a number nor text"),
        (b"}(" + DEEP + b"Nu", "it has a key that is neither a number nor text"),
        (STORAGE.replace(text("0"), DEEP), "it names a storage in another way than torch"),
        (b"NQ", "it names a storage in another way than torch"),
        # lists of lists of lists, of which only the text has no end
        (b"]q\x65" + LISTS * 20 + b"0", "it names what it has made again and again"),
        (b"]q\x65](h\x65h\x65eh\x65(NNe0", "it goes on with a list that is done"),
        (b"]q\x65h\x65a", "it goes on with a list that is done"),
        (
            b"](" + text("x" * 9_999) + b"q\x65" + b"h\x65" * 5_000 + b"e",
            "it names what it has made again and",
        ),
        (STORAGE, "it names what it has made again and again"),
        (b"(" + TENSOR + b"(" + STORAGE + b"q\x64K\x00))\x89" + ORDERED + b")RtRh\x64t", "again and again"),
        # of each tensor torch keeps its sizes
        (
            TENSOR + b"(" + STORAGE + b"K\x00(" + b"K\x01" * 9 + b"tq\x64h\x64\x89" + ORDERED + b")RtR",
            "it calls",
        ),
        (
            TENSOR + b"(" + STORAGE + b"K\x00))\x89NtR",
            "it calls torch._utils._rebuild_tensor_v2 in another way",
        ),
        (
            TENSOR + b"(" + STORAGE + b"K\x00))\x89" + ORDERED + b")R}tR",
            "it calls torch._utils._rebuild_tensor",
        ),
        (b"NK\x01\x85R", "it calls number or text in another way than torch"),
        (b")NR", "it calls tuple in another way than torch"),
        (b"]}b", "it sets the state of what has none"),
        (ORDERED + b")RNb", "it sets the state of what has none"),
        (b")Na", "it puts something into a tuple"),
        (ORDERED + b"NNs", "it puts something into a collections.OrderedDict"),
        (b"]NNs", "it puts something into a list"),
        (b"\x8a\x00" + b"\x8b\x00\x00\x00\x00", "an instruction that torch does not write, LONG4"),
        (b"(a", "IndexError"),
        (b"h\x63", "KeyError"),
    ],
)
def test_what_torch_would_make_without_end_is_refused(tmp_path: Path, value: bytes, message: str) -> None:
    path = pickled(tmp_path / "a.ckpt", value)
    with pytest.raises(
        BundleError, match=f"{re.escape(str(path))} is damaged, or no checkpoint of `s2s fit`.*{message}"
    ):
        read_checkpoint(path)


def test_weights_that_are_only_said_to_be_large_are_refused(tmp_path: Path) -> None:
    shared = torch.zeros(300)
    tied = {name: shared for name in "abc"}
    assert read_checkpoint(saved(tmp_path / "a.ckpt", state_dict=tied))["state_dict"].keys() == tied.keys()
    for weights in (
        {"a": torch.zeros(1).expand(2**20, 2**20)},
        {str(i): shared.detach() for i in range(500)},
    ):
        path = saved(tmp_path / "b.ckpt", state_dict=weights)
        with pytest.raises(
            BundleError, match="b.ckpt is damaged: its weights are said to be larger than it is"
        ):
            read_checkpoint(path)


def test_an_archive_that_torch_reads_otherwise_than_python_is_held_to_the_same(tmp_path: Path) -> None:
    """Python looks for the list of records before the end, torch where the end says that it is."""
    good = saved(tmp_path / "good.ckpt").read_bytes()
    with zipfile.ZipFile(saved(tmp_path / "large.ckpt", further="x" * MIB)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "packed.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    with zipfile.ZipFile(tmp_path / "plain.ckpt", "w") as archive:
        for name, record in records.items():
            archive.writestr(name, record[:100])
    packed, plain = (tmp_path / f"{name}.ckpt" for name in ("packed", "plain"))
    both = packed.read_bytes()[:-22] + plain.read_bytes()
    size, offset = struct.unpack("<LL", packed.read_bytes()[-10:-2])
    there = struct.unpack("<L", plain.read_bytes()[-10:-6])[0]
    assert there == size  # as many records of the same names, so that one end fits both lists
    path = tmp_path / "both.ckpt"
    path.write_bytes(both[:-6] + struct.pack("<L", offset) + both[-2:])
    assert not any(one.compress_type for one in zipfile.ZipFile(path).infolist()) and good
    with pytest.raises(BundleError, match="ValueError: it is packed, which torch never does"):
        read_checkpoint(path)


@pytest.mark.parametrize("entry", ["run", "scores", "versions", "state_dict"])
@pytest.mark.parametrize(
    "value",
    [
        5,
        [1],
        [{}],
        {5: 5},
        [{"value": "x", "signature": 1, "name": 1, "sentences": 1}],
        {"config": 1},
        {"rows": -1},
    ],
)
def test_an_entry_that_is_something_else_is_refused(tmp_path: Path, entry: str, value: Any) -> None:
    if entry == "versions" and value in ({"config": 1}, {"rows": -1}):
        return  # names of parts, as far as can be told here
    if entry == "run" and value == {5: 5}:
        return  # as of an earlier s2s, which kept less
    path = saved(tmp_path / "a.ckpt", **{entry: value})
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))} is (no checkpoint|damaged)"):
        read_checkpoint(path)


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused(tmp_path: Path, made: Callable[[Path], Any]) -> None:
    made(tmp_path / "a.ckpt")
    with pytest.raises(BundleError, match=r"a\.ckpt is damaged, or no checkpoint"):
        read_checkpoint(tmp_path / "a.ckpt")
