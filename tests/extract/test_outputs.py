"""A computed output is one class and one line in `OUTPUTS`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream.extract import ExtractSettings, Job
from flowstream.extract.worker import extract_video
from flowstream.flow.dis import DIS
from flowstream.store import ITEMS, OUTPUTS, open_stack, verify_stack
from flowstream.store.item import Item, check_finite
from flowstream.store.outputs.output import Output, Pairs


class MeanSpeed(Output):
    """Mean speed of each pair, as a contributor would write it."""

    name: ClassVar[str] = "speed"
    items: ClassVar[tuple[Item, ...]] = (
        Item(
            "mean_speed",
            "f4",
            ("pair",),
            "mean speed of each pair",
            "pixel",
            output=name,
            option="--speed",
            check=check_finite,
        ),
    )

    @classmethod
    def compute(cls, pairs: Pairs) -> dict[str, NDArray[Any]]:
        """Return the mean speeds (n,)."""
        return {"mean_speed": np.hypot(pairs.forward[:, 0], pairs.forward[:, 1]).mean(axis=(1, 2))}


def test_a_new_output_is_computed_stored_and_verified(
    tmp_path: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # These two statements are the line in OUTPUTS, which is read when ITEMS is imported.
    monkeypatch.setitem(OUTPUTS._table, "speed", "tests.extract.test_outputs:MeanSpeed")
    monkeypatch.setitem(ITEMS, "mean_speed", MeanSpeed.items[0])
    clip = make_clip(tmp_path / "clip.mp4", frames=4, size=(32, 48))
    job = Job(clip, tmp_path / "clip.h5", clip.name)
    settings = ExtractSettings(DIS(), outputs=("speed",), rgb=False)
    assert settings.stored_outputs == {"speed"}
    extract_video(job, settings)
    verify_stack(job.output)
    with open_stack(job.output) as stack:
        speeds = [np.hypot(*stack.field(k)).mean() for k in range(3)]
        # 0.157 px is the step of the codec, which is not applied to the output
        np.testing.assert_allclose(stack.read("mean_speed"), speeds, atol=0.157)
        assert stack.outputs == {"speed"}
