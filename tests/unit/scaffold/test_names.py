"""The names of module, class and distribution, from one that a person gives."""

import pytest

from s2s.errors import ConfigError
from s2s.scaffold.names import Names


@pytest.mark.parametrize(
    ("given", "module", "part", "distribution"),
    [
        ("my_cell", "my_cell", "MyCell", "my-cell"),
        ("MyCell", "my_cell", "MyCell", "my-cell"),
        ("My_cell", "my_cell", "MyCell", "my-cell"),
        ("myCell", "my_cell", "MyCell", "my-cell"),
        ("cell", "cell", "Cell", "cell"),
        ("MyLSTM", "my_lstm", "MyLSTM", "my-lstm"),
        ("LSTMOfMine", "lstm_of_mine", "LSTMOfMine", "lstm-of-mine"),
        ("my_lstm", "my_lstm", "MyLstm", "my-lstm"),
        ("bleu_4", "bleu_4", "Bleu4", "bleu-4"),
        ("Top2Beam", "top2_beam", "Top2Beam", "top2-beam"),
    ],
)
def test_names(given: str, module: str, part: str, distribution: str) -> None:
    assert Names.of(given) == Names(module, part, distribution)


@pytest.mark.parametrize(
    "name", ["", "my-cell", "my cell", "2cells", "_cell", "cell_", "my__cell", "zelle_ä", "a/b"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a plugin; .*: my_cell or MyCell"):
        Names.of(name)


@pytest.mark.parametrize(("name", "word"), [("lambda", "lambda"), ("Lambda", "lambda"), ("none", "None")])
def test_a_word_of_python(name: str, word: str) -> None:
    with pytest.raises(ConfigError, match=f"'{word}' is a Python keyword; .*, for instance my_{name}"):
        Names.of(name)
