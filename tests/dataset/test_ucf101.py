"""The official UCF101 files, the real ones and crooked copies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flowstream.dataset.listing import SplitRecipe
from flowstream.dataset.split import Split, read_split
from flowstream.errors import SplitError

Make = Callable[..., Path]

CLASSES = "1 Archery\r\n2 Biking\r\n3 HandstandPushups\r\n"
TRAIN = "".join(
    f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi {label}\r\n"
    for label, name in ((1, "Archery"), (2, "Biking"))
    for group in (8, 9, 10)
    for clip in (1, 2)
)
TEST = "Archery/v_Archery_g01_c01.avi\r\nBiking/v_Biking_g01_c01.avi\r\n"


def files(**changed: str | bytes) -> dict[str, str | bytes]:
    named = {"classInd": CLASSES, "trainlist01": TRAIN, "testlist01": TEST, **changed}
    return {f"{name}.txt": text for name, text in named.items()}


def stacks_of(text: str) -> list[str]:
    return [line.split()[0].removesuffix(".avi") for line in text.splitlines() if line.strip()]


def read(lists: Path, stacks: Path, *, validation: float = 0.0, split: int = 1) -> Split:
    return read_split(SplitRecipe("ucf101", lists, split, validation=validation), stacks)


def test_samples_carry_list_name_label_group_and_stack(tree: Make, lists: Make) -> None:
    root = tree(*stacks_of(TRAIN + TEST))
    split = read(lists(files()), root)
    assert split.classes == ("Archery", "Biking")
    assert len(split.train) == 12
    assert not split.validation
    sample = split.test[1]
    assert (sample.video, sample.label) == ("Biking/v_Biking_g01_c01", 1)
    assert sample.group == "Biking/g01"
    assert sample.path == root / "Biking/v_Biking_g01_c01.h5"
    assert split.missing == {}


def test_absent_videos_are_named_by_part_and_absent_classes_leave_the_labels(
    tree: Make, lists: Make
) -> None:
    split = read(lists(files()), tree("Biking/v_Biking_g08_c01", "Biking/v_Biking_g01_c01"))
    assert split.classes == ("Biking",)
    assert [sample.label for sample in split.train + split.test] == [0, 0]
    assert {part: len(videos) for part, videos in split.missing.items()} == {"train": 11, "test": 1}
    assert split.missing["test"] == ("Archery/v_Archery_g01_c01",)
    assert split.summary() == (
        "1 classes; train 1 (11 listed but missing), validation 0, test 1 (1 listed but missing)"
    )


def test_a_class_without_training_videos_is_kept_and_named(tree: Make, lists: Make) -> None:
    split = read(lists(files()), tree("Biking/v_Biking_g08_c01", "Archery/v_Archery_g01_c01"))
    assert split.classes == ("Archery", "Biking")
    assert split.untrained == ("Archery",)
    assert split.summary().endswith("; no training video of Archery")


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(TRAIN.replace("\r\n", "\n"), id="unix line endings"),
        pytest.param(TRAIN.replace("\r\n", "\r"), id="old Mac line endings"),
        pytest.param(TRAIN.replace("\r\n", "  \t\r\n"), id="trailing blanks"),
        pytest.param("\r\n" + TRAIN.replace("\r\n", "\r\n\r\n"), id="blank lines"),
        pytest.param(TRAIN.replace(".avi 1", ".avi\t1"), id="tabs"),
        pytest.param(TRAIN.replace("/", "\\"), id="backslashes"),
        pytest.param(TRAIN.replace("/v_Archery", "/V_ARCHERY"), id="case"),
        pytest.param(b"\xef\xbb\xbf" + TRAIN.encode(), id="byte-order mark"),
        pytest.param(TRAIN.encode("utf-16"), id="UTF-16"),
    ],
)
def test_crooked_text_reads_like_straight_text(
    spoilt: str | bytes, tree: Make, lists: Make
) -> None:
    root = tree(*stacks_of(TRAIN + TEST))
    straight = read(lists(files()), root)
    crooked = read(lists(files(trainlist01=spoilt), "crooked"), root)
    assert [s.path for s in crooked.train] == [s.path for s in straight.train]
    assert [s.label for s in crooked.train] == [s.label for s in straight.train]
    assert [s.group for s in crooked.train] == [s.group for s in straight.train]


@pytest.mark.parametrize("folder", ["HandstandPushups", "HandStandPushups"])
def test_both_spellings_of_handstand_pushups_are_one_class(
    folder: str, tree: Make, lists: Make
) -> None:
    train = "HandstandPushups/v_HandStandPushups_g08_c01.avi 3\r\n"
    test = "HandStandPushups/v_HandStandPushups_g01_c01.avi\r\n"
    split = read(
        lists(files(trainlist01=train, testlist01=test)),
        tree(f"{folder}/v_HandStandPushups_g08_c01", f"{folder}/v_HandstandPushups_g01_c01"),
    )
    assert split.classes == ("HandstandPushups",)
    assert (len(split.train), len(split.test)) == (1, 1)


def test_stacks_are_found_flat_or_deeper_in_the_tree(tree: Make, lists: Make) -> None:
    split = read(lists(files()), tree("v_Biking_g08_c01", "videos/Archery/v_Archery_g08_c01"))
    assert [sample.path.stem for sample in split.train] == ["v_Archery_g08_c01", "v_Biking_g08_c01"]


def test_the_folder_of_the_official_archive_may_be_named_or_its_parent(
    tree: Make, lists: Make
) -> None:
    root = tree(*stacks_of(TRAIN + TEST))
    inner = lists(files(), "lists/ucfTrainTestlist")
    assert read(inner, root) == read(inner.parent, root)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"trainlist01": TRAIN + TRAIN.splitlines()[0]},
            r"trainlist01.txt:13: Archery/v_Archery_g08_c01 is listed twice; .*list01.txt:1$",
        ),
        (
            {"testlist01": TEST + "Biking/V_biking_g08_c02.avi\n"},
            r"testlist01.txt:3: Biking/V_biking_g08_c02 is listed twice, in test and train; .*:8$",
        ),
        (
            {"trainlist01": "Biking/v_Biking_g08_c01.avi 1"},
            r"trainlist01.txt:1: .* number 1, which",
        ),
        ({"trainlist01": "Biking/v_Biking_g08_c01.avi 9"}, r"number 9, which is no class in"),
        ({"trainlist01": "v_Biking_g08_c01.avi 2"}, r"trainlist01.txt:1: got .* expected CLASS/"),
        ({"trainlist01": "Biking/clip.avi 2"}, r"expected a clip named v_CLASS_gNN_cNN"),
        ({"testlist01": "\nBikeing/v_Biking_g08_c01.avi"}, r":2: class 'Bikeing' .* 'Biking'\?"),
        ({"classInd": "Archery 1\r\n"}, r"classInd.txt:1: got 'Archery 1', expected NUMBER CLASS"),
        ({"classInd": CLASSES + "2 Diving"}, r"classInd.txt:4: got '2 Diving'"),
    ],
)
def test_a_wrong_line_is_named(
    changed: dict[str, str | bytes], message: str, tree: Make, lists: Make
) -> None:
    with pytest.raises(SplitError, match=message):
        read(lists(files(**changed)), tree("Biking/v_Biking_g08_c01"))


def test_missing_files_are_reported(tree: Make, lists: Make, tmp_path: Path) -> None:
    there, stacks = lists(files()), tree("Biking/unlisted")
    with pytest.raises(SplitError, match=r"trainlist04.txt: no such split file; found: testlist01"):
        read(there, stacks, split=4)
    with pytest.raises(SplitError, match="nowhere: no such directory"):
        read(tmp_path / "nowhere", stacks)
    with pytest.raises(SplitError, match=r"stacks: no split file classInd.txt"):
        read(stacks, stacks)
    with pytest.raises(SplitError, match="nowhere: no such directory of videos or stacks"):
        read(there, tmp_path / "nowhere")
    with pytest.raises(SplitError, match=r"lists: no .h5 file; extract"):
        read(there, there)
    with pytest.raises(
        SplitError,
        match=r"stacks: none of the 14 videos of .*lists is among its 1 .h5 files; "
        r"expected names such as Archery/v_Archery_g08_c01, got Biking/unlisted",
    ):
        read(there, stacks)


def test_two_stacks_for_one_video_are_refused(tree: Make, lists: Make) -> None:
    stacks = tree("a/Biking/v_Biking_g08_c01", "b/Biking/v_Biking_g08_c01")
    with pytest.raises(SplitError, match="matches a/Biking/v_Biking_g08_c01 and b/Biking/"):
        read(lists(files()), stacks)


# Counted by `sort`, `comm` and `wc` on the lists and the 116 clips, not by this code.
REAL = {1: (82, 34, 9537, 3783), 2: (82, 34, 9586, 3734), 3: (79, 37, 9624, 3696)}


@pytest.mark.parametrize("number", REAL)
def test_the_official_splits_of_the_shared_clips(number: int, shared_data: Path) -> None:
    train, test, listed_train, listed_test = REAL[number]
    root = shared_data / "ucf101"
    recipe = SplitRecipe("ucf101", root / "ucfTrainTestlist", number)
    split = read_split(recipe, root / "videos", suffixes=(".mp4", ".avi"))
    folders = sorted(path.name for path in (root / "videos").iterdir())
    assert list(split.classes) == folders  # the official order is alphabetical
    assert len(split.train) + len(split.validation) == train
    assert len(split.test) == test
    assert len(split.missing["train"]) == listed_train - train
    assert len(split.missing["test"]) == listed_test - test
    assert not split.untrained
    assert {s.label for s in split.validation} == set(range(10))
    assert not {s.group for s in split.train} & {s.group for s in split.validation}
    for sample in split.train + split.validation + split.test:
        assert sample.path.parent.name == split.classes[sample.label]
        assert sample.path.stem == sample.video.partition("/")[2]
