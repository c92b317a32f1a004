"""Quality of flow without ground truth, from warped frames and from backward flow.

Small errors do not prove that flow is correct, because any displacement within a flat area gives a
small error. The fraction of textured pixels says how much of a frame is informative. Large errors
show that the flow is wrong, or that the video has no smooth motion there: cuts, flashes, dissolves.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from flowstream.codec import Codec
from flowstream.errors import ParameterError, VideoError
from flowstream.flow import FlowMethod, motion
from flowstream.flow.method import as_luma
from flowstream.store import Stack
from flowstream.types import Codes, Images, Vectors
from flowstream.video import Frame, Sampling, read_frames

TEXTURED = 2.0
"""Grey levels per pixel from which a pixel counts as textured: half a pixel of motion then changes
it by one level, the smallest difference that 8 bits can represent."""

NOISE = 3.0
"""Grey levels of difference between frames up to which it is noise and JPEG, not motion."""

USELESS = 0.95
"""Error over the difference without motion, above which flow explains nothing."""

WORST = 2
"""Number of worst fields in a summary."""


@dataclass(frozen=True)
class FieldQuality:
    """Quality of one field; fractions refer to all its pixels, None means unknown."""

    field: int
    frame: int
    """Index of the first frame of the pair in the source."""
    time: float
    """Time of that frame in seconds."""
    error: float | None
    """Mean absolute difference of luma between the first frame and the warped second frame, in
    grey levels, over the pixels whose flow ends inside the frame."""
    unmoved: float | None
    """The same difference without warping, over the same pixels."""
    inside: float
    """Fraction of the pixels whose flow ends inside the frame."""
    consistent: float | None
    """Fraction of the pixels that the backward flow maps back; see `motion.consistency`."""
    clipped: float
    """Fraction of the vectors at the codec's bound."""
    textured: float | None
    """Fraction of the pixels with a gradient of at least `TEXTURED`."""

    @property
    def is_useless(self) -> bool:
        """True if the frames differ and warping does not make them more alike."""
        if self.error is None or self.unmoved is None:
            return False
        return self.unmoved > NOISE and self.error > USELESS * self.unmoved

    @property
    def badness(self) -> float:
        """Error of the field; if unknown, its inconsistency or its clipped fraction."""
        if self.error is not None:
            return self.error
        return self.clipped if self.consistent is None else 1 - self.consistent


@dataclass(frozen=True)
class Quality:
    """Quality of the flow of a video: means over its fields, and its worst fields."""

    fields: int
    error: float | None
    unmoved: float | None
    inside: float
    consistent: float | None
    clipped: float
    textured: float | None
    worst: tuple[FieldQuality, ...]
    """Worst fields, the worst first."""
    useless: float = 0.0
    """Fraction of the fields that explain nothing of the change between their frames."""


_MEANS = ("error", "unmoved", "inside", "consistent", "clipped", "textured")


class QualityCounter:
    """Running sums and worst fields; its size does not grow with the number of fields."""

    def __init__(self) -> None:
        self._fields = self._useless = 0
        self._sums = dict.fromkeys(_MEANS, 0.0)
        self._known = dict.fromkeys(_MEANS, 0)
        self._worst: list[tuple[float, int, FieldQuality]] = []

    def add(self, field: FieldQuality) -> None:
        """Add a field."""
        self._fields += 1
        self._useless += field.is_useless
        for name in _MEANS:
            value = getattr(field, name)
            if value is not None:
                self._sums[name] += value
                self._known[name] += 1
        # of equally bad fields, the earlier one is kept
        heapq.heappush(self._worst, (field.badness, -field.field, field))
        if len(self._worst) > WORST:
            heapq.heappop(self._worst)

    def summary(self) -> Quality:
        """Return the summary of the fields that were added.

        Raises
        ------
        ParameterError
            If no field was added.
        """
        if not self._fields:
            raise ParameterError("no flow to check; add a field first")
        means = {
            name: self._sums[name] / self._known[name] if self._known[name] else None
            for name in _MEANS
        }
        worst = tuple(field for *_, field in sorted(self._worst, reverse=True))
        useless = self._useless / self._fields
        return Quality(fields=self._fields, worst=worst, useless=useless, **means)  # type: ignore[arg-type]


def stack_quality(stack: Stack, chosen: Iterable[int] | None = None) -> Iterator[FieldQuality]:
    """Yield the quality of each chosen field of a stack (by default all), in order.

    Errors and texture are known if the stack has frames, consistency if it has backward flow.
    Frames are JPEG images, which adds about one grey level to the errors.

    Raises
    ------
    StackError
        If the stack is corrupted or truncated.
    """
    frames, times = stack.frame_index.tolist(), stack.time.tolist()
    cameras = None if stack.stabiliser is None else stack.homographies
    last, after = -1, None
    for k in range(stack.num_fields) if chosen is None else chosen:
        before = after if k == last else _read_luma(stack, k)
        vectors, clipped = _decode(stack.codes(k, 1), stack.codec)
        back = stack.backward_field(k) if stack.has_backward else None
        if cameras is not None:
            # the frames still contain the motion of the camera
            vectors = motion.with_camera(vectors, cameras[k])
            back = None if back is None else motion.with_camera(back, np.linalg.inv(cameras[k]))
        last, after = k + 1, _read_luma(stack, k + 1)
        measured = _measure(before, after, vectors, back=back)
        yield FieldQuality(field=k, frame=frames[k], time=times[k], clipped=clipped, **measured)


def measure_field(k: int, first: Images, second: Images, *, vectors: Vectors) -> FieldQuality:
    """Return the quality of one field between two luma images `(H, W)`."""
    measured = _measure(first, second, vectors, back=None)
    return FieldQuality(field=k, frame=k, time=0.0, clipped=0.0, **measured)


def video_quality(
    path: str | Path,
    method: FlowMethod,
    *,
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    codec: Codec,
) -> Iterator[FieldQuality]:
    """Estimate the flow of a video in both directions and yield its quality.

    At most one batch of the method is held in memory.

    Parameters
    ----------
    path : path
    method : FlowMethod
    sampling : Sampling
    codec : Codec
        Codec whose bound defines the clipped vectors; nothing is quantised.

    Raises
    ------
    VideoError
        If the video cannot be read, or has fewer than two frames after sampling.
    """
    window: list[Frame] = []
    done = 0
    for frame in read_frames(path, sampling, luma=True, rgb=method.colour):
        window.append(frame)
        if len(window) > method.batch:
            yield from _check_window(window, method, codec, start=done)
            done += len(window) - 1
            window = window[-1:]
    if len(window) > 1:
        yield from _check_window(window, method, codec, start=done)
    elif not done:
        raise VideoError(
            f"{path}: too few frames after sampling; expected at least 2, because flow is "
            "estimated between two frames, got 1"
        )


def as_record(quality: Quality) -> dict[str, Any]:
    """Return a summary as plain data."""
    return dataclasses.asdict(quality)


def summarise(fields: Iterable[FieldQuality]) -> Quality:
    """Return the summary of several fields.

    Raises
    ------
    ParameterError
        If there is no field.
    """
    counter = QualityCounter()
    for field in fields:
        counter.add(field)
    return counter.summary()


def _check_window(
    window: list[Frame], method: FlowMethod, codec: Codec, *, start: int
) -> Iterator[FieldQuality]:
    """Yield the quality of the fields between successive frames."""
    images = np.stack([_image(frame, colour=method.colour) for frame in window])
    lumas = [_image(frame, colour=False) for frame in window]
    forward, back = method.both_directions(images[:-1], images[1:])
    for k, frame in enumerate(window[:-1]):
        _, clipped = _decode(codec.encode(forward[k]), codec)
        measured = _measure(lumas[k], lumas[k + 1], forward[k], back=back[k])
        yield FieldQuality(
            field=start + k, frame=frame.index, time=frame.seconds, clipped=clipped, **measured
        )


def _decode(codes: Codes, codec: Codec) -> tuple[Vectors, float]:
    """Return the vectors of one field, and the fraction of them at the bound."""
    vectors = codec.decode(codes)
    return vectors, codec.at_bound(codes) / vectors[0].size


def _image(frame: Frame, *, colour: bool) -> Images:
    image = frame.rgb if colour else frame.luma
    assert image is not None, "frames are read with the images that the method needs"
    return image


def _read_luma(stack: Stack, t: int) -> Images | None:
    return as_luma(stack.rgb(t)[None])[0] if stack.has_rgb else None


def _measure(
    first: Images | None, second: Images | None, vectors: Vectors, *, back: Vectors | None
) -> dict[str, Any]:
    """Return the measures of one field; see `FieldQuality`."""
    consistent = None if back is None else float(motion.consistency(vectors, back).mean())
    if first is None or second is None:
        # the mask does not depend on the image that is warped
        _, inside = motion.warp(vectors[0], vectors)
        unknown = dict.fromkeys(("error", "unmoved", "textured"))
        return {**unknown, "inside": float(inside.mean()), "consistent": consistent}
    warped, inside = motion.warp(second, vectors)
    some = inside.any()
    return {
        "error": float(cv2.absdiff(warped, first)[inside].mean()) if some else None,
        "unmoved": float(cv2.absdiff(second, first)[inside].mean()) if some else None,
        "inside": float(inside.mean()),
        "consistent": consistent,
        "textured": _texture(first),
    }


def _texture(luma: Images) -> float:
    # 1/8, because the weights of Sobel's filter sum to eight differences over one pixel
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return float((cv2.magnitude(across, down) >= TEXTURED).mean())
