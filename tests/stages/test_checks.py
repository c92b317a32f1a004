"""What is found before the extraction, in seconds, and not after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowstream.dataset.split import Sample, Split
from flowstream.errors import FlowstreamError, SplitError
from flowstream.recipe import build
from flowstream.stages import Recipe, run_stages
from flowstream.stages.repeats import make_fold
from flowstream.stages.split_checks import check_split


def sample(name: str, label: int, group: str = "") -> Sample:
    return Sample(name, label, group or name, Path(f"{name}.h5"))


def split_of(train: list[Sample], test: list[Sample]) -> Split:
    return Split(("walk", "run"), train=tuple(train), validation=(), test=tuple(test))


def test_a_split_that_works_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    check_split(split_of([sample("a", 0), sample("b", 1)], [sample("c", 0)]), where="here")
    assert capsys.readouterr().err == ""


def test_missing_parts_and_classes_are_refused() -> None:
    with pytest.raises(SplitError, match="here: no test video"):
        check_split(split_of([sample("a", 0), sample("b", 1)], []), where="here")
    with pytest.raises(SplitError, match="here: no train video"):
        check_split(split_of([], [sample("a", 0)]), where="here")
    with pytest.raises(SplitError, match=r"1 of 2 classes have test videos but no.*\(run\)"):
        check_split(split_of([sample("a", 0)], [sample("b", 1)]), where="here")


def test_a_group_in_training_and_in_test_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    train = [sample("a", 0, "film"), sample("b", 1)]
    check_split(split_of(train, [sample("c", 0, "film")]), where="here")
    said = capsys.readouterr().err
    assert "1 groups have videos in training and in test (film)" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": {"layout": "manifest", "files": "{}/nothing.csv"}}, "nothing.csv"),
        ({"split": {"layout": "ucf101", "files": "{}/lists", "split": 9}}, "lists"),
        ({"device": "cuda:77"}, "cuda:77"),
    ],
)
def test_nothing_is_extracted_if_training_would_fail(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    for name in ("walk/a.mp4", "run/b.mp4"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True)
        path.write_text("its content does not matter yet")
    stream = {
        "stream": "rgb",
        "model": "single_frame",
        "frames": 1,
        "options": {"backbone": "small_cnn", "pretrained": False},
        "size": 24,
    }
    values = {
        "out": str(tmp_path / "run"),
        "extract": {"sources": [str(tmp_path / "videos")]},
        "split": {"layout": "folder"},
        "streams": {"spatial": stream},
    }
    text = {
        key: {k: str(v).replace("{}", str(tmp_path)) if k == "files" else v for k, v in c.items()}
        if isinstance(c, dict)
        else c
        for key, c in change.items()
    }
    recipe = build(Recipe, {**values, **text}, where="test")
    with pytest.raises(FlowstreamError, match=message):
        run_stages(recipe, progress=False)
    assert not (tmp_path / "run" / "stacks").exists()


def test_a_fold_keeps_groups_together_and_validation_apart() -> None:
    samples = [sample(f"{g}{n}", n % 2, f"g{g}") for g in range(6) for n in range(4)]
    split = Split(("walk", "run"), tuple(samples[:12]), tuple(samples[12:16]), tuple(samples[16:]))
    fold = make_fold(split, ["g0", "g5"], validation=0.25, seed=0)
    groups = [{one.group for one in part} for part in (fold.train, fold.validation, fold.test)]
    assert groups[2] == {"g0", "g5"}
    assert not groups[0] & groups[1]
    assert len(groups[1]) == 1
    assert sum(map(len, (fold.train, fold.validation, fold.test))) == 24
