"""Motion that a codec rounds to zero is counted, recorded and warned of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowstream.codec import CODECS, below_step_warning
from flowstream.codec.centred8 import Centred8
from flowstream.codec.fixed16 import Fixed16
from flowstream.store import copy_stack, open_stack
from tests.cli.test_verify import write
from tests.command_line import call


def test_moving_vectors_that_become_zero_are_counted() -> None:
    codec = Centred8(20.0)  # a step of 0.157: zero up to 0.0787
    vectors = np.zeros((1, 2, 1, 5), np.float32)
    # still, too short to count as motion, lost, kept by its second component, kept
    vectors[0, 0, 0] = [0, 0.01, 0.07, 0.01, 3]
    vectors[0, 1, 0] = [0, 0.01, -0.07, 0.1, 0]
    assert codec.below_step(vectors, codec.encode(vectors)) == (3, 1)
    # fixed16 keeps all that counts as motion
    wide = Fixed16()
    assert wide.below_step(vectors, wide.encode(vectors)) == (3, 0)


@pytest.mark.parametrize("name", list(CODECS))
def test_large_motion_is_never_lost(name: str) -> None:
    codec = CODECS[name]()
    vectors = np.full((2, 2, 3, 4), 1.5, np.float32)
    assert codec.below_step(vectors, codec.encode(vectors)) == (24, 0)


def test_the_warning_names_share_step_and_way_out() -> None:
    assert below_step_warning(Centred8(), 0.2) is None
    warning = below_step_warning(Centred8(), 0.77)
    assert warning is not None
    for fact in ("77%", "0.157 px", "--codec fixed16", "--bound"):
        assert fact in warning


def write_small_motion(path: Path) -> Path:
    """Write a stack whose vectors are all of 0.05 px."""
    return write(path, fields=np.full((3, 2, 12, 16), 0.035, np.float32))


def test_below_step_is_recorded_copied_and_shown(tmp_path: Path) -> None:
    path = write_small_motion(tmp_path / "x.h5")
    copy_stack(path, tmp_path / "y.h5", codec=Fixed16())
    for stored in (path, tmp_path / "y.h5"):
        with open_stack(stored) as stack:
            assert stack.below_step == stack.summary()["below_step"] == 1.0
    for verb in ("stats", "quality"):
        result = call(verb, path)
        assert result.exit_code == 0, result.output
        assert "100% of the motion is smaller than the codec's step" in result.stderr
    assert "below step" in call("info", path).stdout
