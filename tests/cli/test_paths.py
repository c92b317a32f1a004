"""Arguments that name stacks and videos: files, directories and glob patterns alike."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from flowstream.cli.paths import distinct_names, find_inputs, find_stacks, find_videos, is_stack
from flowstream.errors import ParameterError
from flowstream.store import write_pack
from tests.cli.test_verify import write
from tests.command_line import call


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory of empty files; names alone decide here."""
    for name in (
        "b/clip10.h5", "b/clip2.h5", "b/.hidden.h5", "b/clip3.h5.part", "a/other.h5", "notes.txt",
        "videos/one.mp4", "videos/deep/two.AVI", "videos/images/f1.jpg", "videos/images/f2.jpg",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def below(tree: Path, paths: list[Path]) -> list[str]:
    return [path.relative_to(tree).as_posix() for path in paths]


def test_a_directory_is_searched_recursively_in_natural_order(tree: Path) -> None:
    assert below(tree, find_stacks([tree])) == ["a/other.h5", "b/clip2.h5", "b/clip10.h5"]


def test_patterns_work_where_the_shell_did_not_expand_them(tree: Path) -> None:
    assert below(tree, find_stacks([tree / "b" / "*.h5"])) == ["b/clip2.h5", "b/clip10.h5"]
    assert len(find_stacks([f"{tree}/**/*.h5"])) == 3


def test_a_pattern_takes_what_fits_and_a_path_has_one_spelling(tree: Path) -> None:
    assert set(find_stacks([f"{tree}/**"])) == set(find_stacks([tree]))
    with pytest.raises(ParameterError, match=r"no stacks .* match"):
        find_stacks([tree / "*.txt"])
    with pytest.raises(click.UsageError, match="no file matches"):
        find_stacks([tree / "nosuch" / "**"])
    twice = [tree / "b", tree / "a" / ".." / "b" / "clip2.h5"]
    assert below(tree, find_stacks(twice)) == ["b/clip2.h5", "b/clip10.h5"]


def test_a_file_is_taken_whatever_its_name_and_only_once(tree: Path) -> None:
    file = tree / "notes.txt"
    assert find_stacks([file, file]) == [file]


def test_packs_are_searched_like_directories(tmp_path: Path) -> None:
    files = {name: write(tmp_path / "s" / name) for name in ("a/x10.h5", "a/x2.h5", "b/y.h5")}
    pack = tmp_path / "pk.h5"
    write_pack(files, pack)
    members = [pack / "a/x2.h5", pack / "a/x10.h5", pack / "b/y.h5"]
    assert find_stacks([pack]) == find_inputs([pack]) == members
    assert find_stacks([pack / "a"]) == find_stacks([pack / "a" / "x*"]) == members[:2]
    assert find_stacks([tmp_path]) == [*members, *find_stacks([tmp_path / "s"])]
    assert distinct_names(members[:2]) == ["pk.h5/a/x2.h5", "pk.h5/a/x10.h5"]
    with pytest.raises(ParameterError, match=r"no such stack in the pack .*'a/x2.h5'"):
        find_stacks([pack / "a/x3.h5"])
    with pytest.raises(ParameterError, match="not a pack"):
        find_stacks([files["b/y.h5"] / "x.h5"])
    for verb in ("stats", "info", "verify", "quality"):
        result = call(verb, pack / "b/y.h5", "--json")
        assert result.exit_code == 0, result.output
    result = call("convert", pack, "--to", "stack", "--out", tmp_path / "out")
    assert result.stdout.split()[-1] == str(tmp_path / "out/b/y.h5")
    assert call("show", pack / "a/x2.h5", "--out", tmp_path / "x.png").exit_code == 0
    assert call("view", pack / "a/x2.h5", "--out", tmp_path / "x.html").exit_code == 0


def test_a_directory_of_numbered_images_is_one_video(tree: Path) -> None:
    expected = ["videos/deep/two.AVI", "videos/images", "videos/one.mp4"]
    assert below(tree, find_videos([tree / "videos"])) == expected
    for find in (find_videos, find_inputs):
        assert find([tree / "videos" / "images"]) == [tree / "videos" / "images"]


def test_stacks_come_before_videos_where_a_directory_has_both(tree: Path) -> None:
    assert len(find_inputs([tree])) == 3
    assert len(find_inputs([tree / "videos"])) == 3


def test_a_link_to_a_directory_above_ends_the_search(tree: Path) -> None:
    (tree / "b" / "loop").symlink_to(tree)
    (tree / "b" / "same").symlink_to(tree / "b")
    assert len(find_stacks([tree])) == 3


def test_missing_paths_are_usage_errors_and_empty_directories_are_errors(tree: Path) -> None:
    with pytest.raises(click.UsageError, match="no such file"):
        find_stacks([tree / "gone.h5"])
    with pytest.raises(click.UsageError, match="no file matches"):
        find_stacks([tree / "*.h6"])
    with pytest.raises(ParameterError, match="no stacks"):
        find_stacks([tree / "videos"])


def test_names_lose_only_what_all_share(tree: Path) -> None:
    paths = [tree / "a" / "x.h5", tree / "b" / "x.h5"]
    assert distinct_names(paths) == ["a/x.h5", "b/x.h5"]
    assert distinct_names(paths[:1]) == ["x.h5"]
    assert distinct_names([]) == []


def test_a_stack_is_recognised_by_its_first_bytes(tree: Path) -> None:
    file = tree / "b" / "clip2.h5"
    assert not is_stack(file)
    file.write_bytes(b"\x89HDF\r\n\x1a\n....")
    assert is_stack(file)
    with pytest.raises(ParameterError, match=r"gone\.h5"):
        is_stack(tree / "gone.h5")


def test_names_of_outputs_are_escaped_like_those_of_inputs(tmp_path: Path) -> None:
    directory = tmp_path / "a\x1b[31m\nb"
    directory.mkdir()
    write(directory / "c.h5")
    for arguments in (
        ("pack", directory, "--out", directory / "p.h5"),
        ("show", directory / "c.h5", "--out", directory / "c.png"),
        ("view", directory, "--out", directory / "pages"),
    ):
        printed = call(*arguments)
        assert printed.exit_code == 0
        assert r"a\x1b[31m\nb" in printed.output
        assert "\x1b" not in printed.output
