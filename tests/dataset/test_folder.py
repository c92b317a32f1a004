"""Trees of folders as data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from flowstream.dataset.listing import SplitRecipe
from flowstream.dataset.split import read_split
from flowstream.errors import SplitError

Make = Callable[..., Path]
FOLDER = SplitRecipe("folder")


def test_directories_are_classes_and_each_is_divided_by_the_seed(tree: Make) -> None:
    root = tree(*(f"{name}/{n}" for name in ("walk", "jump") for n in range(20)))
    split = read_split(SplitRecipe("folder", test=0.25, validation=0.2), root)
    assert split.classes == ("jump", "walk")
    for samples, expected in ((split.train, 12), (split.validation, 3), (split.test, 5)):
        assert Counter(sample.label for sample in samples) == {0: expected, 1: expected}
    assert split == read_split(SplitRecipe("folder", test=0.25, validation=0.2), root)
    other = read_split(SplitRecipe("folder", test=0.25, validation=0.2, seed=1), root)
    assert other.test != split.test


@pytest.mark.parametrize("validation", ["validation", "val", "Valid"])
def test_folders_named_like_parts_are_the_parts(validation: str, tree: Make) -> None:
    root = tree("train/walk/1", "train/jump/in/2", f"{validation}/walk/1", "test/jump/7")
    tree(*(f"train/walk/{n}" for n in range(2, 30)))
    split = read_split(FOLDER, root)
    assert split.classes == ("jump", "walk")
    labels = {s.video: s.label for s in split.train}
    assert len(labels) == 30  # where the tree names validation videos, no others are taken
    assert (labels["train/walk/1"], labels["train/jump/in/2"]) == (1, 0)
    assert [s.video for s in split.validation] == [f"{validation}/walk/1"]
    assert [s.video for s in split.test] == ["test/jump/7"]


def test_validation_is_taken_from_training_where_the_tree_has_none(tree: Make) -> None:
    root = tree(*(f"train/walk/{n}" for n in range(10)), "test/walk/1")
    split = read_split(FOLDER, root)
    assert (len(split.train), len(split.validation), len(split.test)) == (9, 1, 1)


def test_a_class_may_be_called_test_beside_others(tree: Make) -> None:
    split = read_split(FOLDER, tree("test/1", "test/2", "walk/1", "walk/2"))
    assert split.classes == ("test", "walk")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("walk/1", "stray"),
            r"stray: not in the directory of a class; expected .*stacks/CLASS/VIDEO",
        ),
        (
            ("train/walk/1", "train/stray"),
            r"train/stray: not in the directory of a class; .*PART/CLASS/VIDEO",
        ),
        (("train/walk/1", "jump/1"), r"directory 'jump' beside a directory train; expected either"),
    ],
)
def test_a_tree_that_is_neither_is_refused(
    names: tuple[str, ...], message: str, tree: Make
) -> None:
    with pytest.raises(SplitError, match=message):
        read_split(FOLDER, tree(*names))


def test_a_group_expression_keeps_videos_together(tree: Make) -> None:
    names = [f"walk/person{p:02d}_take{t}" for p in range(10) for t in range(4)]
    recipe = SplitRecipe("folder", test=0.2, validation=0.2, group=r"person(\d+)")
    split = read_split(recipe, tree(*names))
    parts = [{s.group for s in part} for part in (split.train, split.validation, split.test)]
    assert sorted(len(part) for part in parts) == [2, 2, 6]
    assert set.union(*parts) == {f"{p:02d}" for p in range(10)}


def test_a_group_expression_that_fits_not_all_names_is_refused(tree: Make) -> None:
    with pytest.raises(SplitError, match=r"walk/b: the group expression 'a\$' does not match"):
        read_split(SplitRecipe("folder", group="a$"), tree("jump/a", "walk/b"))


def test_links_are_followed_but_not_in_circles(tree: Make) -> None:
    root = tree("walk/1", "walk/2")
    jump = tree("1", "2", root="elsewhere")
    (root / "jump").symlink_to(jump, target_is_directory=True)
    (root / "walk/up").symlink_to(root, target_is_directory=True)
    split = read_split(FOLDER, root)
    assert split.classes == ("jump", "walk")
    assert len(split.train) + len(split.test) + len(split.validation) == 4


def test_unfinished_and_hidden_files_are_skipped(tree: Make) -> None:
    root = tree("walk/1", "walk/2", "walk/.3", ".cache/walk/4")
    (root / "walk/5.h5.part").touch()
    split = read_split(FOLDER, root)
    assert len(split.train) + len(split.validation) + len(split.test) == 2
