"""Flow of a video that has no stack, estimated into a temporary one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flowstream.codec import CODECS
from flowstream.errors import FlowstreamError, VideoError
from flowstream.flow import FlowMethod
from flowstream.plugins import provenance
from flowstream.store import Header, StackWriter, create_stack, encode_jpeg
from flowstream.types import Images
from flowstream.video import Frame, Sampling, probe, read_frames
from flowstream.view.selection import Selection

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Estimate:
    """A temporary stack.

    Parameters
    ----------
    path : Path
    skipped : int
        Fields of the video before the first one of the stack.
    fields : int
        Fields that were asked for; those behind them are for styles that look ahead.
    """

    path: Path
    skipped: int
    fields: int


def estimate_stack(
    video: Path,
    out: Path,
    method: FlowMethod,
    *,
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    selection: Selection,
    ahead: int = 0,
    progress: Callable[[], object] = lambda: None,
) -> Estimate:
    """Estimate the selected fields of a video and write them, with the frames, to `out`.

    Parameters
    ----------
    video, out : Path
    method : FlowMethod
    sampling : Sampling
    selection : Selection
    ahead : int
        Number of further fields.
    progress : function
        Called after each field.

    Raises
    ------
    VideoError
        If the video cannot be read.
    ParameterError
        If it has none of the selected fields.
    """
    pairs = _Pairs(video, method, sampling=sampling, selection=selection, ahead=ahead)
    first = next(iter(pairs), None)
    if first is None:
        raise pairs.nothing()
    rgb = first[0].rgb
    assert rgb is not None, "frames are read with RGB"
    info = probe(video)
    header = Header(
        size=rgb.shape[:2],
        method=provenance(method),
        sampling=provenance(sampling),
        # floats lose nothing, and the file is temporary
        codec=CODECS["float16"](),
        source=video.name,
        source_size=(info.rows, info.columns),
        fps=info.fps,
        compression="none",
        jpeg_quality=JPEG_QUALITY,
    )
    with create_stack(out, header) as writer:
        _add_frame(writer, first[0])
        for before, after in itertools.chain([first], pairs):
            _add_frame(writer, after)
            writer.add_fields(method(_image(before, method), _image(after, method)))
            progress()
    return Estimate(out, skipped=pairs.skipped, fields=pairs.selected)


class _Pairs:
    """Iterator over the selected pairs of frames of a video, and those that follow them."""

    def __init__(
        self,
        video: Path,
        method: FlowMethod,
        *,
        sampling: Sampling,
        selection: Selection,
        ahead: int,
    ) -> None:
        self.skipped = self.selected = 0
        self._video = video
        self._selection = selection
        self._ahead = ahead
        self._last: Frame | None = None
        self._frames = read_frames(
            video, sampling, luma=not method.colour, rgb=True, allow_truncated=True
        )

    def __iter__(self) -> _Pairs:
        return self

    def __next__(self) -> tuple[Frame, Frame]:
        for frame in self._frames:
            before, self._last = self._last, frame
            if before is None:
                continue
            index = self.skipped + self.selected
            place = self._selection.place(index, before.seconds, frame.seconds)
            if place < 0:
                self.skipped += 1
                continue
            if place > 0:
                if not self.selected or self._ahead <= 0:
                    break
                self._ahead -= 1
                return before, frame
            self.selected += 1
            return before, frame
        raise StopIteration

    def nothing(self) -> FlowstreamError:
        """Return the error for a video without a selected field."""
        if not self.skipped or self._last is None:
            return VideoError(
                f"{self._video}: expected at least 2 frames after sampling, because flow leads "
                "from one frame to the next, got fewer"
            )
        return self._selection.missing(
            str(self._video), count=self.skipped, seconds=self._last.seconds
        )


def _image(frame: Frame, method: FlowMethod) -> Images:
    image = frame.rgb if method.colour else frame.luma
    assert image is not None, "frames are read with what the method needs"
    return image[None]


def _add_frame(writer: StackWriter, frame: Frame) -> None:
    assert frame.rgb is not None, "frames are read with RGB"
    writer.add_frame(frame.index, frame.seconds, encode_jpeg(frame.rgb, quality=JPEG_QUALITY))
