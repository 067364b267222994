"""Parts and their options as a person types them."""

import pytest

from s2s.errors import ConfigError
from s2s.registry.words import given_spec


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("LSTM", {}),
        ("LSTM,forget_bias=2", {"forget_bias": 2}),
        ("BLEU,tokenize=zh,lowercase=true", {"tokenize": "zh", "lowercase": True}),
        ("A,rate=1e-3,scale=-2.5E+2", {"rate": 0.001, "scale": -250.0}),
        (
            "A,sizes=[1, 2],names={a: 1, b: 2},last=x",
            {"sizes": [1, 2], "names": {"a": 1, "b": 2}, "last": "x"},
        ),
        ("A,nothing=,empty=null", {"nothing": None, "empty": None}),
        ("A,formula=a=b", {"formula": "a=b"}),
    ],
)
def test_values_are_read_as_in_a_configuration(word, expected):
    spec = given_spec(word, "--cells")
    assert spec == {"class_path": word.split(",")[0], "init_args": expected}
    assert [type(value) for value in spec["init_args"].values()] == [
        type(value) for value in expected.values()
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("LSTM,forget_bias", "--cells 'forget_bias': expected KEY=VALUE"),
        ("LSTM,=2", "--cells '=2': expected KEY=VALUE"),
        ("LSTM,a={", "--cells 'a={': the value is no YAML"),
    ],
)
def test_what_is_no_option_is_named(word, message):
    with pytest.raises(ConfigError, match=message):
        given_spec(word, "--cells")
