"""What is there already stands only if it was made the same way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowstream.codec.centred8 import Centred8
from flowstream.errors import ExtractionError
from flowstream.extract import ExtractSettings, Job
from flowstream.extract.resume import sift
from flowstream.extract.worker import attempt
from flowstream.flow.camera import Stabiliser
from flowstream.flow.dis import DIS
from flowstream.flow.farneback import Farneback
from flowstream.video import Sampling

SETTINGS = ExtractSettings(DIS())


@pytest.fixture
def job(tmp_path: Path, make_clip: Callable[..., Path]) -> Job:
    made = Job(make_clip(tmp_path / "clip.mp4"), tmp_path / "clip.h5", "clip.mp4")
    assert attempt(made, SETTINGS).status == "done"
    return made


def test_a_stack_made_the_same_way_is_skipped(job: Job) -> None:
    todo, [outcome] = sift([job], SETTINGS, overwrite=False)
    assert todo == []
    assert (outcome.status, outcome.frames, outcome.pairs) == ("skipped", 5, 4)
    assert outcome.bytes == job.output.stat().st_size


def test_what_is_not_there_is_to_do(job: Job) -> None:
    job.output.unlink()
    assert sift([job], SETTINGS, overwrite=False) == ([job], [])


def test_how_results_are_computed_makes_no_difference(job: Job) -> None:
    settings = dataclasses.replace(SETTINGS, allow_truncated=True)
    assert sift([job], settings, overwrite=False)[0] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": DIS(preset="fast")}, r"method\.preset: 'medium' here, 'fast' there"),
        ({"method": Farneback()}, r"method\.name: 'dis' here, 'farneback' there"),
        ({"sampling": Sampling(step=2)}, r"sampling\.step: 1 here, 2 there"),
        ({"sampling": Sampling(size=(32, 48))}, r"sampling\.size"),
        ({"codec": Centred8(bound=15)}, r"codec\.bound: 20\.0 here, 15"),
        ({"compression": "gzip"}, "compression: 'zstd' here, 'gzip' there"),
        ({"rgb": False}, "rgb: True here, False there"),
        ({"backward": True}, "backward: False here, True there"),
        ({"consistency": True}, "consistency: False here, True there"),
        ({"stabilise": Stabiliser()}, "stabiliser.name: absent here, 'homography' there"),
    ],
)
def test_other_settings_are_refused_with_what_differs_unless_overwritten(
    job: Job, change: dict[str, Any], message: str
) -> None:
    settings = dataclasses.replace(SETTINGS, **change)
    with pytest.raises(ExtractionError, match=message):
        sift([job], settings, overwrite=False)
    assert sift([job], settings, overwrite=True) == ([job], [])


def test_another_stabiliser_is_refused_and_the_same_one_is_not(job: Job) -> None:
    settings = dataclasses.replace(SETTINGS, stabilise=Stabiliser(), consistency=True)
    assert attempt(job, settings).status == "done"
    assert sift([job], settings, overwrite=False)[0] == []
    other = dataclasses.replace(settings, stabilise=Stabiliser(features="sift"))
    with pytest.raises(ExtractionError, match=r"stabiliser\.features: 'orb' here, 'sift' there"):
        sift([job], other, overwrite=False)


def test_a_source_that_changed_is_noticed(job: Job, make_clip: Callable[..., Path]) -> None:
    make_clip(job.source, frames=9, seed=1)
    with pytest.raises(ExtractionError, match="source_bytes"):
        sift([job], SETTINGS, overwrite=False)


def test_another_source_in_its_place_is_noticed(job: Job) -> None:
    other = dataclasses.replace(job, name="clip.avi")
    with pytest.raises(ExtractionError, match=r"source: 'clip\.mp4' here, 'clip\.avi' there"):
        sift([other], SETTINGS, overwrite=False)


def test_a_stack_whose_source_is_gone_is_left_to_fail_by_itself(job: Job) -> None:
    job.source.unlink()
    assert sift([job], SETTINGS, overwrite=False) == ([job], [])


def test_a_file_that_is_no_stack_is_not_written_over_unasked(job: Job) -> None:
    job.output.write_text("my notes")
    with pytest.raises(ExtractionError, match=r"clip\.h5"):
        sift([job], SETTINGS, overwrite=False)
    assert sift([job], SETTINGS, overwrite=True) == ([job], [])


def test_many_differences_are_one_line(job: Job) -> None:
    settings = dataclasses.replace(SETTINGS, rgb=False)
    with pytest.raises(ExtractionError) as caught:
        sift([job] * 7, settings, overwrite=False)
    assert "7 of the stacks" in str(caught.value)
    assert "(and 4 more)" in str(caught.value)
    assert "\n" not in str(caught.value)
