"""Estimates of consecutive frames: flow in one or both directions, outputs, camera motion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError
from flowstream.extract.settings import ExtractSettings
from flowstream.flow import FlowMethod, motion
from flowstream.flow.camera import Stabiliser
from flowstream.flow.method import as_luma
from flowstream.store import OUTPUTS, StackWriter
from flowstream.store.outputs.output import Pairs
from flowstream.types import Images, Vectors


@dataclass(frozen=True, eq=False)
class Estimates:
    """Everything that is estimated of n pairs of consecutive frames.

    Parameters
    ----------
    forward : (n, 2, H, W), float32
    backward : (n, 2, H, W), float32, or None
        Anchored on the later frame of each pair.
    homographies, inliers : (n, 3, 3) float64 and (n,) float32, or None
        Camera motion, which has been removed from the fields.
    computed : mapping from item to array
        Values of the computed outputs.
    """

    forward: Vectors
    backward: Vectors | None = None
    homographies: NDArray[np.float64] | None = None
    inliers: NDArray[np.float32] | None = None
    computed: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def add_to(self, writer: StackWriter) -> None:
        """Write the items that the stack is declared to hold."""
        items = {
            "flow_backward": self.backward if "backward" in writer.outputs else None,
            "homography": self.homographies,
            "inliers": self.inliers,
        }
        present = {name: values for name, values in items.items() if values is not None}
        writer.add_fields(self.forward, **present, **self.computed)


def estimate_windows(windows: Iterable[Images], settings: ExtractSettings) -> Iterator[Estimates]:
    """Yield the estimates of each window of n + 1 frames."""
    for window, flow in _estimate_flow(windows, settings):
        pairs = Pairs(window, flow.forward, flow.backward)
        computed: dict[str, NDArray[Any]] = {}
        for name in settings.outputs:
            computed |= OUTPUTS[name].compute(pairs)
        found = replace(flow, computed=computed)
        if settings.stabilise is not None:
            found = _stabilise(found, window, settings.stabilise)
        yield found


def _estimate_flow(
    windows: Iterable[Images], settings: ExtractSettings
) -> Iterator[tuple[Images, Estimates]]:
    """Yield each window with its flow.

    On a GPU, flow is estimated in a thread while the caller decodes the next window and writes the
    last one. On the CPU a second thread would only compete with the other workers for the cores.
    """
    both = settings.needs_backward
    if settings.method.device == "cpu":
        for window in windows:
            yield window, _estimate(window, settings.method, both=both)
        return
    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead: tuple[Images, Future[Estimates]] | None = None
        for window in windows:
            following = thread.submit(_estimate, window, settings.method, both=both)
            if ahead is not None:
                yield ahead[0], ahead[1].result()
            ahead = window, following
        if ahead is not None:
            yield ahead[0], ahead[1].result()


def _estimate(window: Images, method: FlowMethod, *, both: bool) -> Estimates:
    first, second = window[:-1], window[1:]
    return (
        Estimates(*method.both_directions(first, second))
        if both
        else Estimates(method(first, second))
    )


def _stabilise(found: Estimates, window: Images, stabiliser: Stabiliser) -> Estimates:
    """Return the estimates without the camera motion, and with its homographies."""
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
            # A vector ends beyond the horizon of the homography, which no camera motion explains.
            # The camera is assumed to be still; the stored fraction of inliers is then 0.
            still = [fields[k] for fields in flow]
        else:
            homographies[k], inliers[k] = camera.homography, camera.inlier_fraction
        for fields, rest in zip(without, still, strict=True):
            fields[k] = rest
    return replace(
        found,
        forward=without[0],
        backward=None if found.backward is None else without[1],
        homographies=homographies,
        inliers=inliers,
    )
