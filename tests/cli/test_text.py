"""Data as text: whatever it is, it is shown, aligned and within the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.cli import text
from flowstream.cli.text import format_record, format_table, format_value, paint, wrap_text
from flowstream.escapes import escape_controls

names = st.sampled_from(["size", "bytes", "seconds", "clipped", "name", "fps", "other_bytes"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (None, "name  long column  other\n   a            1      2"),
        (40, "name  long column  other\n   a            1      2"),
        (20, "name  long column\n   a            1\n\nname  other\n   a      2"),
    ],
)
def test_a_table_is_divided_on_a_narrow_terminal(
    room: int | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "terminal_columns", lambda: room)
    head = [["name", "long column", "other"]]
    assert format_table([["a", "1", "2"]], head=head, left=0) == expected


def test_names_of_a_divided_table_keep_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "terminal_columns", lambda: 40)
    name = "v_" + "long" * 12 + "_g01"
    block, other = format_table([[name, "1" * 15, "2" * 15]]).split("\n\n")
    assert block.startswith("v_long")
    assert "…" in block
    assert max(map(len, (block, other))) <= 40
    assert "_g01  2" in other


@given(record=st.dictionaries(names, values, max_size=4))
def test_any_plain_data_is_formatted(record: dict[str, Any]) -> None:
    assert isinstance(format_record(record), str)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("source_bytes", 2_400_000, "2.4 MB"),
        ("size", [128, 171], "171x128"),
        ("size", 224, "224"),
        ("seconds", 6.5, "6.50 s"),
        ("clipped", 0.00125, "0.125%"),
        ("fps", 29.97002997, "29.97"),
        ("fps", None, "unknown"),
        ("rgb", True, "yes"),
        ("method", {"name": "tvl1", "fast": False, "warps": None}, "tvl1: fast no"),
        ("scales", [1.0, 0.5], "1, 0.5"),
    ],
)
def test_values_are_written_as_people_write_them(name: str, value: Any, expected: str) -> None:
    assert format_value(name, value) == expected


def test_names_and_values_are_aligned_and_wrapped_beside_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = format_record({"a": 1, "long_name": "word " * 12})
    lines = text.splitlines()
    assert lines[0] == "a          1"
    assert all(line.startswith(" " * 11) for line in lines[2:])
    assert max(map(len, lines)) <= 40


def test_a_path_is_never_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    path = "/a-very-long/path-that-does-not/fit-on-a-line.h5"
    assert path in wrap_text(f"path  {path}", indent=6)


def test_tables_are_aligned_left_then_right_under_headings() -> None:
    assert format_table([["a", "bb", "c"], ["long", "1", "22"]]) == "a     bb   c\nlong   1  22"
    text = format_table([["clip", "1.5"]], head=[["name", "speed"], ["", "px"]])
    assert text == "name  speed\n         px\nclip    1.5"


def test_names_that_take_two_columns_a_letter_stay_aligned() -> None:
    first, second = format_table([["走る", "1"], ["runs", "2"]]).splitlines()
    assert first == "走る  1"
    assert second == "runs  2"


def test_control_characters_are_escaped() -> None:
    assert escape_controls("a\x1b[2Jb\n\u202e\udcff") == "a\\x1b[2Jb\\n\\u202e\\udcff"
    assert "\x1b" not in format_table([["\x1b[31m", "1"]])
    assert "\x1b" not in format_record({"na\x1bme": "va\x1blue", "list": ["\x1b"]})


def test_colour_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paint("x", bold=True) == "x"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert paint("x", bold=True) == "\x1b[1mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", bold=True) == "x"
