"""Tables, files and pictures of a diagnosis that is made up here, and one whole small diagnosis."""

import csv
import io
import json
import math
import struct

import pytest
import torch

from s2s.diagnosis.diagnosis import Clipping, Diagnosis, Gradients, Learning, Skipped, diagnose
from s2s.diagnosis.learning import Learnt
from s2s.diagnosis.plot import gradients_picture, pictures
from s2s.diagnosis.report import files, table, text
from s2s.diagnosis.settings import Settings
from s2s.errors import ConfigError

TINY = Settings(input_size=3, hidden_size=6, distance=7, scales=(0.5,), lags=(6, 4), steps=2, batch_size=4)


def made_up() -> Diagnosis:
    found = Diagnosis(Settings(distance=3, lags=(20, 10)), cells=["A", "B $x$"])
    for cell in found.cells:
        for scale in (0.5, 1.0):
            norms = tuple(2 * scale**distance for distance in range(4))
            found.gradients.append(Gradients(cell, "scale", scale, 0, norms))
        for problem in ("adding", "copying"):
            found.gradients.append(Gradients(cell, problem, "before", 20, (1.0, 0.0, math.inf, math.nan)))
            found.gradients.append(Gradients(cell, problem, "after", 20, (1.0, 1.0, 1.0, 1.0)))
    errors = {("A", 10): 1 / 60, ("A", 20): 0.017, ("B $x$", 10): 0.2, ("B $x$", 20): math.nan}
    for (cell, lag), error in errors.items():
        learnt = Learnt(error, 123, math.isnan(error), (0.5, 0.25), (1.0, 3.0))
        found.learning.append(Learning(cell, "adding", lag, 1 / 6, learnt))
        found.learning.append(Learning(cell, "copying", lag, 7 / 8, learnt))
    found.clipping = [
        Clipping("A", 1.5, clip, Learnt(0.4, 4, False, (0.5,), (0.5, 2.0, 4.0, 8.0))) for clip in (1.0, 0.0)
    ]
    found.skipped = [Skipped("B $x$", "clipping", "because")]
    return found


def lines(of: str, begin: str) -> list[list[str]]:
    return [line.split() for line in of.splitlines() if line.strip().startswith(begin)]


def test_solved_is_a_tenth_of_guessing() -> None:
    found = made_up()
    assert [one.solved for one in found.learning if one.problem == "adding"] == [True, False, False, False]
    assert found.longest_solved("A", "adding") == 10
    assert found.longest_solved("B $x$", "adding") is None
    assert found.longest_solved("A", "copying") == 20


def test_the_tables() -> None:
    told = text(made_up())
    assert (
        "adding problem at growing lags: mean squared error. * solved: an error of at most 10% of guessing's"
        in told
    )
    assert ["lag", "10", "20", "longest", "solved"] in lines(told, "lag")
    rows = lines(told, "A ")
    assert ["A", "0.017*", "0.017", "10"] in rows  # 0.0167 is a tenth of 0.1667, 0.0170 is not
    assert ["A", "98.3*", "98.3*", "20"] in rows
    assert ["B", "$x$", "0.200", "nan!", "none"] in lines(told, "B ")
    assert ["guessing", "0.167", "0.167"] in lines(told, "guessing")
    assert ["guessing", "12.5", "12.5"] in lines(told, "guessing")
    assert ["A", "x", "0.5", "2.0e+00", "1.0e+00", "5.0e-01", "2.5e-01", "x", "0.500"] in rows
    assert ["A", "before", "1.0e+00", "0.0e+00", "inf", "nan", "-"] in rows
    assert ["A", "x1.5", "cut", "to", "1", "40.0", "8", "75"] in rows
    assert "B $x$: skipped: clipping: because" in told


def test_columns_stand_below_each_other() -> None:
    assert table([["a", "1", "22"], ["bbb", "333", "4"]]) == "  a      1  22\n  bbb  333   4"


def test_the_files() -> None:
    found = made_up()
    written = files(found)
    assert sorted(written) == ["gradients.csv", "learning.csv", "report.json", "report.txt"]
    gradients = list(csv.DictReader(io.StringIO(written["gradients.csv"])))
    assert len(gradients) == 2 * (2 + 4) * 4
    assert gradients[2] == {
        "cell": "A", "series": "scale", "value": "0.5", "lag": "0", "distance": "2", "norm": "0.5"
    }  # fmt: skip
    learning = list(csv.DictReader(io.StringIO(written["learning.csv"])))
    assert len(learning) == 8
    assert (learning[0]["cell"], learning[0]["error"], learning[0]["solved"]) == ("A", "0.01667", "True")
    told = json.loads(written["report.json"])
    assert told["settings"]["lags"] == [20, 10]
    assert [one["error"] for one in told["learning"] if one["cell"] == "B $x$"] == [0.2, 0.2, None, None]
    (before, _) = (one for one in told["gradients"] if (one["cell"], one["series"]) == ("A", "adding"))
    assert before["norms"] == [1.0, 0.0, None, None]
    assert told["clipping"][0]["longest_gradient"] == 8.0


def png_size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_pictures() -> None:
    pytest.importorskip("matplotlib")
    drawn = pictures(made_up())
    assert sorted(drawn) == ["gradients.png", "learning.png"]
    assert all(min(png_size(picture)) > 300 for picture in drawn.values())


def test_a_panel_for_each_cell() -> None:
    pytest.importorskip("matplotlib")
    found = made_up()
    low = png_size(gradients_picture(found))
    found.cells = list("ABCDE")
    found.gradients = [Gradients(cell, "scale", 1.0, 0, (1.0, 0.5)) for cell in found.cells]
    wide = png_size(gradients_picture(found))
    assert wide[0] > low[0] and wide[1] > 1.5 * low[1]  # three beside each other, two rows


def test_one_small_diagnosis() -> None:
    told: list[str] = []
    torch.manual_seed(5)
    found = diagnose(["Elman", {"class_path": "LSTM", "init_args": {"forget_bias": 2.0}}], TINY, told.append)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)  # random numbers of others are left alone
    assert found.cells == ["Elman", "LSTM forget_bias=2.0"]
    series = [(one.cell, one.series, one.value, len(one.norms)) for one in found.gradients]
    lstm = "LSTM forget_bias=2.0"
    expected = [("Elman", "scale", 0.5, 8), ("Elman", "scale", 1.0, 8)]
    expected += [(lstm, "scale", 0.5, 8), (lstm, "scale", 1.0, 8)]
    expected += [(lstm, "forget bias", bias, 8) for bias in (0.0, 1.0, 3.0)]
    expected += [
        (cell, problem, when, steps)
        for problem, steps in (("adding", 6), ("copying", 9))
        for cell in found.cells
        for when in ("before", "after")
    ]
    assert sorted(series, key=str) == sorted(expected, key=str)
    assert [(one.problem, one.lag, one.cell) for one in found.learning] == [
        (problem, lag, cell) for problem in ("adding", "copying") for lag in (4, 6) for cell in found.cells
    ]
    assert [(one.cell, one.clip) for one in found.clipping] == [
        (cell, clip) for cell in found.cells for clip in (1.0, 0.0)
    ]
    assert [(one.cell, one.what) for one in found.skipped] == [("Elman", "biases of the forget gate")]
    assert sum(line.startswith("adding, lag 4, Elman: not solved after 2 updates") for line in told) == 1
    again = diagnose(["Elman"], TINY)
    assert again.learning == [one for one in found.learning if one.cell == "Elman"]
    assert again.gradients == [one for one in found.gradients if one.cell == "Elman"]


def test_without_clipping_there_is_nothing_to_compare() -> None:
    found = diagnose(["GRU"], Settings(**{**vars(TINY), "clip": 0.0}))
    assert not found.clipping
    assert ("clipping", "clip is 0, so there is nothing to compare with") in [
        (one.what, one.reason) for one in found.skipped
    ]
    assert "Clipping" not in text(found)


def test_a_cell_that_cannot_is_skipped() -> None:
    """sLSTM with four heads cannot have six units; alone, there is nothing to examine."""
    cell = {"class_path": "SLSTM", "init_args": {"heads": 4}}
    found = diagnose(["Elman", cell], TINY)
    assert found.cells == ["Elman"]
    (skipped,) = (one for one in found.skipped if one.cell == "SLSTM heads=4")
    assert skipped.what == "everything"
    assert skipped.reason.startswith("it cannot be built with input_size 3, hidden_size 6: ")
    with pytest.raises(ConfigError, match=r"no cell is left to examine. SLSTM heads=4: it cannot be built"):
        diagnose([cell], TINY)
