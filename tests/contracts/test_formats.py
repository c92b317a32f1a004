"""What every format of the table promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowstream.convert import FORMATS
from flowstream.errors import ConversionError
from flowstream.store import open_stack
from tests.contracts.small_stack import write_small_stack

formats = pytest.mark.parametrize("name", list(FORMATS))


@formats
def test_it_writes_one_file_or_directory_and_nothing_else(name: str, tmp_path: Path) -> None:
    kind = FORMATS[name]()
    out = tmp_path / "out"
    with open_stack(write_small_stack(tmp_path / "small.h5")) as stack:
        written = kind.convert(stack, out / "clip")
    assert kind.name == name
    assert written == out / f"clip{kind.suffix}"
    assert list(out.iterdir()) == [written]
    assert written.is_file() == bool(kind.suffix)
    assert kind.suffix or any(written.iterdir())


@formats
def test_equal_stacks_give_equal_files(name: str, tmp_path: Path) -> None:
    found = []
    for run in ("a", "b"):
        with open_stack(write_small_stack(tmp_path / run / "small.h5")) as stack:
            written = FORMATS[name]().convert(stack, tmp_path / run / "clip")
        files = sorted(written.rglob("*")) if written.is_dir() else [written]
        found.append([(file.name, file.stat().st_size) for file in files if file.is_file()])
    assert found[0] == found[1]
    assert found[0]


@formats
def test_a_failure_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = FORMATS[name]()

    def fail(stack: object, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(kind), "write", lambda self, stack, target: fail(stack, target))
    with (
        open_stack(write_small_stack(tmp_path / "small.h5")) as stack,
        pytest.raises(ConversionError, match="No space left"),
    ):
        kind.convert(stack, tmp_path / "out" / "clip")
    assert list((tmp_path / "out").iterdir()) == []
