"""The forecast of an extraction is near the truth, and a disk that is too small is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flowstream.errors import ExtractionError
from flowstream.extract import ExtractSettings, RunOptions, estimate, extract, plan
from flowstream.extract.trial import _duration, forecast
from flowstream.flow.dis import DIS
from flowstream.video import Sampling

SETTINGS = ExtractSettings(DIS(preset="ultrafast"))
ALONE = RunOptions(backend="sequential", workers=1)
DATA = os.environ.get("FLOWSTREAM_TEST_DATA")


@pytest.mark.skipif(not DATA, reason="FLOWSTREAM_TEST_DATA is not set")
def test_the_size_of_real_clips_is_forecast_within_a_quarter(tmp_path: Path) -> None:
    assert DATA is not None
    small = replace(SETTINGS, sampling=Sampling(short_side=120))
    clips = sorted(Path(DATA).glob("ucf101/videos/*/*"))[::25]
    jobs = plan(clips, tmp_path)
    assert len(jobs) >= 4
    found = forecast(jobs, small, estimate(jobs, small), options=ALONE)
    done = extract(jobs, small, tmp_path, options=ALONE).done
    assert found.pairs == pytest.approx(sum(outcome.pairs for outcome in done), rel=0.02)
    assert found.bytes == pytest.approx(sum(outcome.bytes for outcome in done), rel=0.25)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    tmp_path: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    jobs = plan([make_clip(tmp_path / "a.mp4", frames=30)], out)
    needed = round(forecast(jobs, SETTINGS, estimate(jobs, SETTINGS), options=ALONE).bytes)

    def set_free(size: int) -> None:
        monkeypatch.setattr(
            "flowstream.extract.trial.shutil.disk_usage", lambda path: SimpleNamespace(free=size)
        )

    # the trial is repeated for the run: its bytes are the same, as times do not enter
    set_free(needed - 1)
    with pytest.raises(ExtractionError, match=r"the disk has .* free.*--force"):
        extract(jobs, SETTINGS, out, options=ALONE)
    assert not list(out.rglob("*.h5*"))
    set_free(needed)
    assert len(extract(jobs, SETTINGS, out, options=ALONE).done) == 1
    set_free(1)
    forced = RunOptions(backend="sequential", overwrite=True, force=True)
    assert len(extract(jobs, SETTINGS, out, options=forced).done) == 1


def test_a_run_lasts_as_long_as_its_busiest_worker() -> None:
    assert _duration([6.0, 3.0, 2.0, 1.0], [10, 10, 10, 10], workers=2) == 6.0
    assert _duration([6.0, 3.0, 2.0, 1.0], [10, 10, 10, 10], workers=1) == 12.0
    # a long video is split
    assert _duration([10.0, 2.0], [1000, 200], workers=2) == pytest.approx(6.0, rel=0.2)
