"""Join the stacks of consecutive segments of one video into the stack of the whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from flowstream.codec.encoding import EncodedFields
from flowstream.errors import StackError
from flowstream.store.copying import read_stored
from flowstream.store.creating import create_stack
from flowstream.store.header import Header
from flowstream.store.items import ITEMS
from flowstream.store.losses import LossCounts
from flowstream.store.stack import Stack, open_stack
from flowstream.store.writer import StackWriter


def join_stacks(
    segments: Sequence[Path], target: Path, *, losses: Sequence[LossCounts], batch: int
) -> tuple[Header, int, int]:
    """Write one stack that holds the fields of several stacks, one after the other.

    The last frame of a segment is the first of the next. The file equals, byte by byte, a file that
    was written in one run in batches of `batch` pairs.

    Parameters
    ----------
    segments : sequence of Path
    target : Path
    losses : sequence of Losses
        Losses of each segment, counted when its vectors were encoded.
    batch : int
        Number of pairs in one call of `StackWriter.add_fields`. The number of pairs of each segment
        except the last is a multiple of it.

    Returns
    -------
    Header, int, int
        Header of the stack, its number of frames, and its number of corrupt frames.

    Raises
    ------
    StackError
        If the segments do not fit together, or a file is damaged or cannot be written.
    """
    with ExitStack() as opened:
        stacks = [opened.enter_context(open_stack(path)) for path in segments]
        header = _common_header(stacks, target)
        writer = create_stack(target, header, outputs=stacks[0].outputs)
        with writer:
            for stack in stacks:
                _append(stack, writer, batch=batch)
            corrupt = sorted({int(index) for stack in stacks for index in stack.corrupt})
            if corrupt:
                writer.add_values("corrupt", corrupt)
            writer.losses.counts = LossCounts.total(losses)
            frames = writer.num_frames
    return writer.header, frames, len(corrupt)


def _common_header(stacks: Sequence[Stack], target: Path) -> Header:
    counted = {"clipped": 0.0, "below_step": 0.0, "clipped_backward": None}
    headers = [dataclasses.replace(stack.header, **counted) for stack in stacks]  # type: ignore[arg-type]
    for stack, header in zip(stacks, headers, strict=True):
        if header != headers[0] or stack.outputs != stacks[0].outputs:
            raise StackError(f"{target}: segments have different headers and cannot be joined")
    for before, after in pairwise(stacks):
        if before.frame_index[-1] != after.frame_index[0]:
            raise StackError(
                f"{target}: a segment ends with frame {before.frame_index[-1]} and the next starts "
                f"with frame {after.frame_index[0]}; expected the same frame"
            )
    return headers[0]


def _append(stack: Stack, writer: StackWriter, *, batch: int) -> None:
    """Add the frames and fields of a segment, in the order in which they are estimated."""
    frames = _frames(stack)
    first = next(frames)
    if writer.num_frames == 0:
        writer.add_frame(*first)
    for start in range(0, stack.num_fields, batch):
        stop = min(stack.num_fields, start + batch)
        for _ in range(start, stop):
            writer.add_frame(*next(frames))
        values: dict[str, Any] = read_stored(stack, writer, start, stop=stop)
        for name in values:
            if ITEMS[name].packing == "codec":
                # The losses were counted when the fields were encoded.
                chunks = stack.open_file().chunks(name, start, stop)
                values[name] = EncodedFields(values[name], 0, 0, 0, chunks)
        writer.add_fields(values.pop("flow"), **values)


def _frames(stack: Stack) -> Iterator[tuple[int, float, bytes | None]]:
    times = zip(stack.frame_index.tolist(), stack.time.tolist(), strict=True)
    for t, (index, seconds) in enumerate(times):
        yield index, seconds, stack.jpeg(t) if stack.has_rgb else None
