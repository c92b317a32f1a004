"""How good flow is where no truth is known: does it carry each frame onto the next, and back?

Low errors do not prove that flow is right, for flat areas look alike wherever they are moved from;
the share of textured pixels says how much of the frame speaks. High errors show that it is wrong,
or that the video does not move smoothly there: cuts, flashes, dissolves.
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
it by one level, the least that 8 bits tell."""

WORST = 2
"""How many of the worst fields are named."""


@dataclass(frozen=True)
class FieldQuality:
    """How good one field is; shares are of all its pixels, 0 to 1, None where it cannot be told."""

    field: int
    frame: int
    """Index in the source of the frame that it starts from."""
    time: float
    """Of that frame, seconds."""
    error: float | None
    """Mean absolute difference of luma between the first frame and the second one warped onto it,
    in grey levels, of the pixels whose flow ends inside the frame."""
    unmoved: float | None
    """The same between the frames as they are, of the same pixels."""
    inside: float
    """Share of the pixels whose flow ends inside the frame."""
    consistent: float | None
    """Share of the pixels that the flow back returns; see `motion.consistency`."""
    clipped: float
    """Share of the vectors at the codec's bound."""
    textured: float | None
    """Share of the pixels with a gradient of at least `TEXTURED`."""

    @property
    def badness(self) -> float:
        """By what the worst are found: the error, or else what is not consistent, or clipped."""
        if self.error is not None:
            return self.error
        return self.clipped if self.consistent is None else 1 - self.consistent


@dataclass(frozen=True)
class Quality:
    """How good the flow of a video is: means over its fields, and the worst of them."""

    fields: int
    error: float | None
    unmoved: float | None
    inside: float
    consistent: float | None
    clipped: float
    textured: float | None
    worst: tuple[FieldQuality, ...]
    """The worst first."""


_MEANS = ("error", "unmoved", "inside", "consistent", "clipped", "textured")


class QualityCounter:
    """Sums up fields; holds the sums and the worst of them, whatever it is given."""

    def __init__(self) -> None:
        self._fields = 0
        self._sums = dict.fromkeys(_MEANS, 0.0)
        self._known = dict.fromkeys(_MEANS, 0)
        self._worst: list[tuple[float, int, FieldQuality]] = []

    def add(self, field: FieldQuality) -> None:
        """Count a field."""
        self._fields += 1
        for name in _MEANS:
            value = getattr(field, name)
            if value is not None:
                self._sums[name] += value
                self._known[name] += 1
        # of equals the earlier is named
        heapq.heappush(self._worst, (field.badness, -field.field, field))
        if len(self._worst) > WORST:
            heapq.heappop(self._worst)

    def summary(self) -> Quality:
        """What was counted.

        Raises
        ------
        ParameterError
            If nothing was.
        """
        if not self._fields:
            raise ParameterError("no flow to judge; add a field first")
        means = {
            name: self._sums[name] / self._known[name] if self._known[name] else None
            for name in _MEANS
        }
        worst = tuple(field for *_, field in sorted(self._worst, reverse=True))
        return Quality(fields=self._fields, worst=worst, **means)  # type: ignore[arg-type]


def stack_quality(stack: Stack) -> Iterator[FieldQuality]:
    """Judge each field of a stack, in order; memory holds one of them.

    Errors and texture are known where the stack holds frames, consistency where it holds the flow
    back. Frames are JPEG, which adds about a grey level to errors.

    Raises
    ------
    StackError
        If the stack cannot be read to its end.
    """
    places = zip(stack.frame_index.tolist(), stack.time.tolist(), strict=True)
    cameras = None if stack.stabiliser is None else stack.homographies
    before = _stored_luma(stack, 0)
    for k, (frame, time) in zip(range(stack.num_fields), places, strict=False):
        vectors, clipped = _stored(stack.codes(k, 1), stack.codec)
        back = stack.backward_field(k) if stack.has_backward else None
        if cameras is not None:
            # the frames are as the camera saw them
            vectors = motion.with_camera(vectors, cameras[k])
            back = None if back is None else motion.with_camera(back, np.linalg.inv(cameras[k]))
        after = _stored_luma(stack, k + 1)
        measured = _measured(before, after, vectors, back=back)
        yield FieldQuality(field=k, frame=frame, time=time, clipped=clipped, **measured)
        before = after


def video_quality(
    path: str | Path,
    method: FlowMethod,
    *,
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    codec: Codec,
) -> Iterator[FieldQuality]:
    """Estimate the flow of a video both ways and judge each field; memory holds one batch.

    Parameters
    ----------
    path : path
    method : FlowMethod
    sampling : Sampling
    codec : Codec
        By whose bound `clipped` is told; nothing is quantised.

    Raises
    ------
    VideoError
        If it cannot be read, or has fewer than two frames after sampling.
    """
    window: list[Frame] = []
    judged = 0
    for frame in read_frames(path, sampling, luma=True, rgb=method.colour):
        window.append(frame)
        if len(window) > method.batch:
            yield from _judged(window, method, codec, start=judged)
            judged += len(window) - 1
            window = window[-1:]
    if len(window) > 1:
        yield from _judged(window, method, codec, start=judged)
    elif not judged:
        raise VideoError(
            f"{path}: 1 frame after sampling, expected at least 2: "
            "flow goes from one frame to the next"
        )


def as_record(quality: Quality) -> dict[str, Any]:
    """A summary as plain data."""
    return dataclasses.asdict(quality)


def summed(fields: Iterable[FieldQuality]) -> Quality:
    """The summary of fields.

    Raises
    ------
    ParameterError
        If there are none.
    """
    counter = QualityCounter()
    for field in fields:
        counter.add(field)
    return counter.summary()


def _judged(
    window: list[Frame], method: FlowMethod, codec: Codec, *, start: int
) -> Iterator[FieldQuality]:
    """The quality of the fields between frames that follow one another."""
    images = np.stack([_image(frame, colour=method.colour) for frame in window])
    lumas = [_image(frame, colour=False) for frame in window]
    there, back = method.both_directions(images[:-1], images[1:])
    for k, frame in enumerate(window[:-1]):
        _, clipped = _stored(codec.encode(there[k]), codec)
        measured = _measured(lumas[k], lumas[k + 1], there[k], back=back[k])
        yield FieldQuality(
            field=start + k, frame=frame.index, time=frame.seconds, clipped=clipped, **measured
        )


def _stored(codes: Codes, codec: Codec) -> tuple[Vectors, float]:
    """One field of codes as vectors, and the share of these at the bound."""
    vectors = codec.decode(codes)
    return vectors, codec.at_bound(codes) / vectors[0].size


def _image(frame: Frame, *, colour: bool) -> Images:
    image = frame.rgb if colour else frame.luma
    assert image is not None, "read_frames gives the kinds that it is asked for"
    return image


def _stored_luma(stack: Stack, t: int) -> Images | None:
    return as_luma(stack.rgb(t)[None])[0] if stack.has_rgb else None


def _measured(
    first: Images | None, second: Images | None, vectors: Vectors, *, back: Vectors | None
) -> dict[str, Any]:
    """What can be told of one field: see `FieldQuality`."""
    consistent = None if back is None else float(motion.consistency(vectors, back).mean())
    if first is None or second is None:
        # any image tells what ends inside
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
        "textured": _textured(first),
    }


def _textured(luma: Images) -> float:
    # an eighth: Sobel's weights are those of eight differences over one pixel
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return float((cv2.magnitude(across, down) >= TEXTURED).mean())
