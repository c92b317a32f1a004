"""A file is written whole or not at all, and reading one never waits."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from flowstream.convert.format import whole_directory
from flowstream.disk import open_regular, walk, whole_file
from flowstream.errors import StackError
from flowstream.store.part_file import PartFile


def test_a_file_gets_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with whole_file(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_an_older_file_survives_any_error(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def break_off() -> None:
        with whole_file(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        break_off()
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), whole_file(tmp_path / "no" / "file") as part:
        part.write_text("text")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a regular file"):
        open_regular(tmp_path / "pipe")


def test_a_file_is_opened_and_a_folder_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "file", buffering=0) as file:
        assert file.read() == b"content"
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_link_in_the_way_of_a_write_is_kept(tmp_path: Path) -> None:
    # As root, a rename would replace /dev/null for all processes.
    victim = tmp_path / "victim"
    victim.write_text("kept")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    os.mkfifo(tmp_path / "first.part")
    (tmp_path / "second.part").symlink_to(victim)
    for name in ("pipe", "link", "first", "second"):
        with pytest.raises(OSError, match="regular file"), whole_file(tmp_path / name) as part:
            part.write_text("new")
        with pytest.raises(StackError, match=f"{name}.*regular file"):
            PartFile(tmp_path / name)
        if name in ("first", "second"):
            with pytest.raises(OSError, match="regular file"), whole_directory(tmp_path / name):
                pass
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()
    assert victim.read_text() == "kept"


def test_an_error_of_a_write_names_the_file(tmp_path: Path) -> None:
    def fill() -> None:
        with whole_file(tmp_path / "scores.npz"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as raised:
        fill()
    assert raised.value.filename == str(tmp_path / "scores.npz")


def test_a_walk_visits_each_directory_once_and_no_hidden_name(tmp_path: Path) -> None:
    for name in ("b/10.h5", "b/.9.h5", "a/.cache/1.h5", "z/2.h5", "y/3.h5"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "b/up").symlink_to(tmp_path)
    (tmp_path / "c").symlink_to(tmp_path / "z")
    visited = []
    for place, directories, files in walk(tmp_path):
        visited.append((place.relative_to(tmp_path).as_posix(), files))
        if "y" in directories:
            directories.remove("y")
    assert visited == [(".", []), ("a", []), ("b", ["10.h5"]), ("c", ["2.h5"])]


def test_a_walk_passes_over_what_cannot_be_read_unless_told(tmp_path: Path) -> None:
    assert not list(walk(tmp_path / "gone"))
    errors: list[OSError] = []
    assert not list(walk(tmp_path / "gone", onerror=errors.append))
    assert [error.filename for error in errors] == [str(tmp_path / "gone")]
