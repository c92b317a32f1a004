"""Check all of a stack: what opening it checks, and everything in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flowstream.errors import StackError
from flowstream.store.checksum import Checksum
from flowstream.store.stack import Stack, open_stack
from flowstream.types import Codes

_BLOCK = 16


def verify_stack(path: str | Path) -> None:
    """Read a stack whole, and compare it with its checksum and with what it says about itself.

    Memory holds a few fields, whatever the length.

    Raises
    ------
    StackError
        If the file is not a complete, unchanged stack: besides what `open_stack` refuses, if the
        checksum differs, a vector is not finite, the frames fall, a time is not finite, another
        fraction of the vectors is at the bound or of the pixels consistent, or an image cannot be
        decoded or is of another size.
    """
    with open_stack(path) as stack:
        checksum = Checksum()
        clipped = {"clipped": _check_flow(stack, checksum)}
        if stack.has_backward:
            clipped["clipped_backward"] = _check_backward(stack, checksum)
        _check_frames(stack, checksum)
        if stack.has_consistency:
            _check_consistency(stack, checksum)
        if stack.stabiliser is not None:
            _check_cameras(stack, checksum)
        # Before images are decoded: decoders print about damaged ones.
        seen = checksum.hexdigest(stack.attributes())
        if seen != stack.checksum:
            raise StackError(
                f"{stack.path}: was changed after it was written: checksum {seen}, "
                f"expected {stack.checksum}; extract it again"
            )
        for name, fraction in clipped.items():
            if fraction != getattr(stack, name):
                raise StackError(
                    f"{stack.path}: {name} is {getattr(stack, name)}, but {fraction} of the flow"
                )
        if stack.has_rgb:
            for t in range(stack.num_frames):
                stack.rgb(t)


def _check_flow(stack: Stack, checksum: Checksum) -> float:
    """Take in the codes; gives the fraction of the vectors at the bound."""
    at_bound = 0
    for start, length in _blocks(stack):
        codes = stack.codes(start, length)
        checksum.add_codes(codes)
        at_bound += _at_bound(stack, codes, start)
    return at_bound / (stack.num_fields * math.prod(stack.size))


def _check_backward(stack: Stack, checksum: Checksum) -> float:
    """The same of the backward flow."""
    at_bound = 0
    for start, length in _blocks(stack):
        codes = stack.backward_codes(start, length)
        checksum.add_optional("flow_backward", codes)
        at_bound += _at_bound(stack, codes, start)
    return at_bound / (stack.num_fields * math.prod(stack.size))


def _blocks(stack: Stack) -> Iterator[tuple[int, int]]:
    for start in range(0, stack.num_fields, _BLOCK):
        yield start, min(_BLOCK, stack.num_fields - start)


def _at_bound(stack: Stack, codes: Codes, start: int) -> int:
    # only float codes can be anything else
    if not np.isfinite(codes).all():
        raise StackError(f"{stack.path}: flow after field {start} is not finite")
    return stack.codec.at_bound(codes.reshape(-1, 2, *stack.size))


def _check_consistency(stack: Stack, checksum: Checksum) -> None:
    """Take in the masks, which must be as full as they are said to be."""
    fractions = stack.consistency
    for k, fraction in enumerate(fractions):
        mask = stack.consistent(k)
        # repacked: bits beyond the last column count as damage
        checksum.add_optional("consistent", np.packbits(mask, axis=-1))
        if np.float32(mask.mean()) != fraction:
            raise StackError(
                f"{stack.path}: consistency of field {k} is {fraction}, but {mask.mean()} "
                "of its mask"
            )
    checksum.add_optional("consistency", fractions)


def _check_cameras(stack: Stack, checksum: Checksum) -> None:
    homographies, inliers = stack.homographies, stack.inliers
    if not (np.isfinite(homographies).all() and ((inliers >= 0) & (inliers <= 1)).all()):
        raise StackError(
            f"{stack.path}: /homography and /inliers hold values that are not finite, "
            "or are no fractions"
        )
    checksum.add_optional("homography", homographies)
    checksum.add_optional("inliers", inliers)


def _check_frames(stack: Stack, checksum: Checksum) -> None:
    frames, times = stack.frame_index, stack.time
    if frames[0] < 0 or (np.diff(frames) < 0).any():
        raise StackError(f"{stack.path}: /frame falls, expected indices that never do")
    if not np.isfinite(times).all():
        raise StackError(f"{stack.path}: /time holds values that are not finite")
    for index, seconds in zip(frames.tolist(), times.tolist(), strict=True):
        checksum.add_frame(index, seconds)
    if stack.has_rgb:
        for t in range(stack.num_frames):
            checksum.add_image(stack.jpeg(t))
