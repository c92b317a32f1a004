"""CSV manifests: labels, parts, groups, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flowstream.dataset.listing import SplitRecipe
from flowstream.dataset.split import Split, read_split
from flowstream.errors import SplitError

Make = Callable[..., Path]


def read(path: Path, stacks: Path, *, group: str | None = None) -> Split:
    return read_split(SplitRecipe("manifest", path, validation=0, group=group), stacks)


@pytest.fixture
def manifest(lists: Make) -> Callable[[str | bytes], Path]:
    return lambda text: lists({"manifest.csv": text}, "set") / "manifest.csv"


def test_rows_become_samples(manifest: Make, tree: Make) -> None:
    path = manifest(
        "video,label,split\n"
        "a/1.mp4,walk,train\n"
        '"b/odd, name.avi",jump,val\n'
        "./c/3,jump,Training\n"
        "a/2.x.mov,walk,test\n"
        "gone.mp4,walk,test\n"
    )
    split = read(path, tree("a/1", "b/odd, name", "c/3", "a/2.x"))
    assert split.classes == ("jump", "walk")
    assert [(s.video, s.label) for s in split.train] == [("a/1", 1), ("c/3", 0)]
    assert [s.video for s in split.validation] == ["b/odd, name"]
    assert [(s.video, s.path.name) for s in split.test] == [("a/2.x", "2.x.h5")]
    assert split.missing == {"test": ("gone",)}


def test_columns_come_in_any_order_with_others_between(manifest: Make, tree: Make) -> None:
    text = "\ufeff Split ,fps,LABEL,Video\r\n\r\ntrain,25,walk,1.mp4\r\n ,,,\r\n"
    split = read(manifest(text.encode()), tree("1"))
    assert [s.video for s in split.train] == ["1"]


def test_integer_labels_are_sorted_as_numbers(manifest: Make, tree: Make) -> None:
    rows = "".join(f"{n},{n},train\n" for n in (10, 9, 0, 7))
    split = read(manifest("video,label,split\n" + rows), tree("0", "7", "9", "10"))
    assert split.classes == ("0", "7", "9", "10")
    assert {s.video: s.label for s in split.train} == {"0": 0, "7": 1, "9": 2, "10": 3}


def test_without_a_split_column_the_seed_divides(manifest: Make, tree: Make) -> None:
    rows = "".join(f"{n}.mp4,walk\n" for n in range(10))
    split = read(manifest("video,label\n" + rows), tree(*map(str, range(10))))
    assert (len(split.train), len(split.test)) == (7, 3)


def test_groups_come_from_the_column_or_the_expression(manifest: Make, tree: Make) -> None:
    path = manifest("video,label,split,group\np1_a,walk,train,first\np2_a,walk,train,\n")
    stacks = tree("p1_a", "p2_a")
    assert [s.group for s in read(path, stacks).train] == ["first", "p2_a"]
    assert [s.group for s in read(path, stacks, group=r"p\d").train] == ["p1", "p2"]


def test_absolute_paths_inside_the_manifests_folder_are_relative_to_it(
    manifest: Make, tree: Make, tmp_path: Path
) -> None:
    path = manifest(f"video,label\n{tmp_path}/set/walk/1.mp4,walk\n")
    assert [s.video for s in read(path, tree("walk/1")).train] == ["walk/1"]


def test_folders_in_one_name_but_not_the_other_still_match(manifest: Make, tree: Make) -> None:
    path = manifest("video,label,split\n/data/set/walk/1.mp4,walk,train\n2.mp4,jump,train\n")
    split = read(path, tree("walk/1", "jump/2"))
    assert [s.path.stem for s in split.train] == ["1", "2"]
    with pytest.raises(SplitError, match="none of the 1 videos"):
        read(manifest("video,label\nwalk/1.mp4,walk\n"), tree("jump/1", root="other"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the split lists no video"),
        ("1.mp4,walk,train\n", r"csv:1: got the columns 1.mp4, walk, train; expected the header"),
        ("video,label,label\n1,a,b\n", "csv:1: got the columns video, label, label"),
        ("video,label,split,split\n1,a,train,test\n", "csv:1: column 'split' occurs 2 times"),
        ("video,label,split\n1.mp4,walk,dev\n", "csv:2: split 'dev'; expected train, validation"),
        ("video,label,split\n1.mp4,,train\n", "csv:2: no label"),
        ("video,label,split\n,walk,train\n", "csv:2: no video"),
        ("video,label,split\n1,a,train\n\n2,a,\n", "csv:4: no split, but other rows have one"),
        ("video,label,split\n1,a,b,train\n", "csv:2: 4 values for 3 columns"),
        ("video,label\n1.mp4,a\n1.avi,a\n", r"csv:3: 1 is listed twice; see .*csv:2"),
        (
            "video,label,split\n1,a,train\n1,a,test\n",
            r"csv:3: 1 is listed twice, in test and train",
        ),
        (
            "video,label\na/1.mp4,a\nb/1.mp4,a\n",
            r"csv:3: b/1 and a/1 .* both match the file .*1.h5",
        ),
    ],
)
def test_a_wrong_row_is_named(text: str, message: str, manifest: Make, tree: Make) -> None:
    with pytest.raises(SplitError, match=message):
        read(manifest(text), tree("1"))


def test_a_manifest_that_is_not_there_is_named(tree: Make, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"no.csv: cannot read the split file: No such file"):
        read(tmp_path / "no.csv", tree("1"))


def test_parts_of_a_video_are_samples_of_one_group(manifest: Make, tree: Make) -> None:
    path = manifest(
        "video,label,start,end,first,second\n"
        "a.mp4,walk,2.5,4,,\na.mp4,jump,10f,40f,,\na.mp4,smile,,,3,17\nb.mp4,walk,,,,\n"
    )
    split = read(path, tree("a@2.5-4s", "a@10-40f", "a@3+17f", "b"))
    samples = {sample.video: sample for sample in (*split.train, *split.test)}
    assert samples.keys() == {"a@2.5-4s", "a@10-40f", "a@3+17f", "b"}
    assert samples["a@2.5-4s"].path.name == "a@2.5-4s.h5"
    assert {samples[name].group for name in samples if name[0] == "a"} == {"a"}
    with pytest.raises(SplitError, match=r"manifest.csv:2: .*seconds"):
        read(manifest("video,label,start\na.mp4,walk,soon\n"), tree("a"))
