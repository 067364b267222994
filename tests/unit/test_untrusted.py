"""Small files that others may have made."""

import os
import re

import pytest
import yaml

from s2s.untrusted import parse_json, parse_yaml, printable, read_bytes, read_json


def test_an_ordinary_file_is_read(tmp_path):
    (tmp_path / "a").write_text('{"a": [1, null]}')
    assert read_bytes(tmp_path / "a") == b'{"a": [1, null]}'
    assert read_json(tmp_path / "a") == {"a": [1, None]}
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_bytes(tmp_path / "link", most=16) == b'{"a": [1, null]}'


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (os.mkfifo, "not an ordinary file"),
        (lambda path: path.symlink_to("/dev/zero"), "not an ordinary file"),
        (os.mkdir, "directory"),
        (lambda path: path.write_bytes(b"x" * 11), "larger than 10 bytes"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: None, "No such file"),
    ],
)
def test_anything_else_is_refused_at_once(tmp_path, made, message):
    made(tmp_path / "a")
    with pytest.raises(OSError, match=f"{message}.*{re.escape(str(tmp_path / 'a'))}"):
        read_bytes(tmp_path / "a", most=10)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff", "utf-8"),
        (b"{", "Expecting"),
        (b"9" * 10_000, "Exceeds the limit"),
    ],
)
def test_json_that_cannot_be_is_a_value_error(data, message):
    with pytest.raises(ValueError, match=message):
        parse_json(data)


def test_yaml_is_what_a_safe_loader_says():
    assert parse_yaml(b"a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}
    assert parse_yaml("") is None
    with pytest.raises(yaml.YAMLError, match="could not determine a constructor for the tag"):
        parse_yaml("!!python/object/apply:os.system [id]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("a: &a [*a]", "more than 1,000,000 values where its aliases are followed"),
        ("a: &a {b: *a}", "more than 1,000,000 values"),
        ("[&a [" + "1, " * 1001 + "], &b [" + "*a, " * 1001 + "]]", "more than 1,000,000 values"),
        ("2001-99-99", "month must be in"),
        ("!!bool x", "a value that its tag does not allow"),
        ("!!int ''", "a value that its tag does not allow"),
        ("!!timestamp x", "a value that its tag does not allow"),
    ],
)
def test_yaml_that_cannot_be_is_a_value_error(text, message):
    with pytest.raises(ValueError, match=message):
        parse_yaml(text)


def test_what_is_shown_commands_no_terminal():
    assert printable("a\x1b[2J\u202eä 漢\n") == "a\\x1b[2J\\u202eä 漢\\n"
