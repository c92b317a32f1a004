"""Estimates of consecutive frames: flow in one or both directions, outputs, camera motion."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.codec.encoding import EncodedFields
from flowstream.errors import ParameterError
from flowstream.extract.remote_flow import AHEAD, RemoteFlow
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
    forward : (n, 2, H, W), float32; or EncodedFields
    backward : like `forward`, or None
        Anchored on the later frame of each pair.
    homographies, inliers : (n, 3, 3) float64 and (n,) float32, or None
        Camera motion, which has been removed from the fields.
    computed : mapping from item to array
        Values of the computed outputs.
    """

    forward: Vectors | EncodedFields
    backward: Vectors | EncodedFields | None = None
    homographies: NDArray[np.float64] | None = None
    inliers: NDArray[np.float32] | None = None
    computed: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def fields(self) -> list[Vectors | EncodedFields]:
        """Forward and, if there are, backward fields."""
        return [fields for fields in (self.forward, self.backward) if fields is not None]

    def add_to(self, writer: StackWriter) -> None:
        """Write the items that the stack is declared to hold."""
        items = {
            "flow_backward": self.backward if "backward" in writer.outputs else None,
            "homography": self.homographies,
            "inliers": self.inliers,
        }
        present: dict[str, Any] = {
            name: values for name, values in items.items() if values is not None
        }
        writer.add_fields(self.forward, **present, **self.computed)


def estimate_windows(
    windows: Iterable[Images], settings: ExtractSettings, remote: RemoteFlow | None = None
) -> Iterator[Estimates]:
    """Yield the estimates of each window of n + 1 frames.

    Flow comes from `remote` if it is given, else from the method of the settings.
    """
    for window, flow in _estimate_flow(windows, settings, remote):
        computed: dict[str, NDArray[Any]] = {}
        for name in settings.outputs:
            vectors = [fields for fields in flow.fields if isinstance(fields, np.ndarray)]
            computed |= OUTPUTS[name].compute(Pairs(window, *vectors))
        found = replace(flow, computed=computed)
        if settings.stabilise is not None:
            found = _stabilise(found, window, settings.stabilise)
        yield found


def _estimate_flow(
    windows: Iterable[Images], settings: ExtractSettings, remote: RemoteFlow | None
) -> Iterator[tuple[Images, Estimates]]:
    """Yield each window with its flow.

    On a GPU, flow is estimated elsewhere, by another process or in a thread, while the caller
    decodes the next window and writes the last one. On the CPU a second thread would only compete
    with the other workers for the cores.
    """
    both = settings.needs_backward
    if remote is not None:
        yield from _run_ahead(windows, _by(remote), AHEAD)
    elif settings.method.device == "cpu":
        for window in windows:
            yield window, _estimate(window, settings.method, both=both)
    else:
        with ThreadPoolExecutor(max_workers=1) as thread:

            def submit(window: Images) -> Callable[[], Estimates]:
                return thread.submit(_estimate, window, settings.method, both=both).result

            yield from _run_ahead(windows, submit, 1)


def _by(remote: RemoteFlow) -> Callable[[Images], Callable[[], Estimates]]:
    def submit(window: Images) -> Callable[[], Estimates]:
        receive = remote.submit(window)

        def result() -> Estimates:
            forward, *backward = receive()
            return Estimates(forward, backward[0] if backward else None)

        return result

    return submit


def _run_ahead(
    windows: Iterable[Images],
    submit: Callable[[Images], Callable[[], Estimates]],
    most: int,
) -> Iterator[tuple[Images, Estimates]]:
    """Yield results in order, while up to `most` further windows are being estimated."""
    ahead: deque[tuple[Images, Callable[[], Estimates]]] = deque()
    for window in windows:
        ahead.append((window, submit(window)))
        if len(ahead) > most:
            first, result = ahead.popleft()
            yield first, result()
    for first, result in ahead:
        yield first, result()


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
    flow = [fields for fields in found.fields if isinstance(fields, np.ndarray)]
    without = [np.empty_like(fields) for fields in flow]
    homographies = np.tile(np.eye(3), (len(found.forward), 1, 1))
    inliers = np.zeros(len(found.forward), np.float32)
    for k, vectors in enumerate(flow[0]):
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
