"""What is estimated of runs of frames: flow one way or both, what agrees, what the camera did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError
from flowstream.extract.settings import ExtractSettings
from flowstream.flow import FlowMethod, motion
from flowstream.flow.camera import Stabiliser
from flowstream.flow.method import as_luma
from flowstream.store import StackWriter
from flowstream.types import Images, Vectors


@dataclass(frozen=True, eq=False)
class Estimates:
    """Of n pairs of consecutive frames, what a stack is to hold.

    Parameters
    ----------
    forward : (n, 2, H, W), float32
    backward : (n, 2, H, W), float32, or None
        Anchored on the later frame of each pair.
    consistent : (n, H, W), bool, or None
    homographies, inliers : (n, 3, 3) float64 and (n,) float32, or None
        Of the camera's motion, which is not in the fields then.
    """

    forward: Vectors
    backward: Vectors | None = None
    consistent: NDArray[np.bool_] | None = None
    homographies: NDArray[np.float64] | None = None
    inliers: NDArray[np.float32] | None = None

    def add_to(self, writer: StackWriter) -> None:
        """Write the items that the stack is declared to hold."""
        optional = {
            "flow_backward": self.backward if "backward" in writer.outputs else None,
            "consistent": self.consistent,
            "homography": self.homographies,
            "inliers": self.inliers,
        }
        given = {name: values for name, values in optional.items() if values is not None}
        writer.add_fields(self.forward, **given)


def estimate_windows(windows: Iterable[Images], settings: ExtractSettings) -> Iterator[Estimates]:
    """What is estimated within each window of n + 1 frames.

    Flow is estimated in a thread, while the caller decodes the next window and writes the last one.
    """
    for window, flow in _flow(windows, settings):
        found = flow
        if settings.consistency and flow.backward is not None:
            found = replace(found, consistent=motion.consistency(flow.forward, flow.backward))
        if settings.stabilise is not None:
            found = _stabilised(found, window, settings.stabilise)
        yield found


def _flow(
    windows: Iterable[Images], settings: ExtractSettings
) -> Iterator[tuple[Images, Estimates]]:
    both = settings.backward or settings.consistency
    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead: tuple[Images, Future[Estimates]] | None = None
        for window in windows:
            following = thread.submit(_estimated, window, settings.method, both=both)
            if ahead is not None:
                yield ahead[0], ahead[1].result()
            ahead = window, following
        if ahead is not None:
            yield ahead[0], ahead[1].result()


def _estimated(window: Images, method: FlowMethod, *, both: bool) -> Estimates:
    first, second = window[:-1], window[1:]
    return (
        Estimates(*method.both_directions(first, second))
        if both
        else Estimates(method(first, second))
    )


def _stabilised(found: Estimates, window: Images, stabiliser: Stabiliser) -> Estimates:
    """The fields without the camera's motion, and what that was."""
    luma = as_luma(window)
    flow = [found.forward] if found.backward is None else [found.forward, found.backward]
    without = [np.empty_like(fields) for fields in flow]
    homographies = np.tile(np.eye(3), (len(found.forward), 1, 1))
    inliers = np.zeros(len(found.forward), np.float32)
    for k, vectors in enumerate(found.forward):
        camera = stabiliser(luma[k], luma[k + 1], vectors)
        there_and_back = camera.homography, np.linalg.inv(camera.homography)
        try:
            still = [
                motion.residual(fields[k], way)
                for fields, way in zip(flow, there_and_back, strict=False)
            ]
        except ParameterError:
            # A vector ends beyond the homography's horizon: that is no camera's motion. It is taken
            # to stand still, as where support is thin, and the share of inliers, 0, says so.
            still = [fields[k] for fields in flow]
        else:
            homographies[k], inliers[k] = camera.homography, camera.inlier_fraction
        for fields, field in zip(without, still, strict=True):
            fields[k] = field
    return replace(
        found,
        forward=without[0],
        backward=None if found.backward is None else without[1],
        homographies=homographies,
        inliers=inliers,
    )
