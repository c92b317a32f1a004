"""Evidence of missing and corrupted frames of a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flowstream.errors import DamagedVideoError, VideoError

# A cut through a stream damages its last frame, which B-frames may precede in order of display.
_TAIL_FRAMES = 4
_MOST_FAULTS = 3
# Packets in a row that no ordinary damage affects.
_MANY = 15
_WAY_OUT = "Use what there is with --allow-truncated"


@dataclass
class Damage:
    """Evidence of damage, collected while a video is read.

    Only a number of frames that the container states is an expected number. It is compared with the
    number of packets, because decoders correctly give no frame for some packets: leading frames of
    an open group of pictures, frames that were coded as "not coded", hidden reference frames.
    """

    stated: int = 0
    """Number of packets that the container states; 0 if it states none."""
    slack: bool = False
    """True if the stated number of frames may be wrong by 2 frames and 2 %."""
    has_trailer: bool = False
    """True if the format ends with data that FFmpeg returns as a packet."""
    claim: str = "its header claims"
    """Source of the stated number, for messages."""
    packets: int = 0
    """Number of packets that were read."""
    frames: int = 0
    """Number of frames that were decoded."""
    leading: int = 0
    """Number of packets before the first key frame, or shown before it."""
    undecodable: int = 0
    """Number of packets that the decoder refused, leading packets left out."""
    corrupt: list[int] = field(default_factory=list)
    """Indices of frames that are marked as damaged."""
    dependent: int = 0
    """Number of later frames, up to the next key frame, that may be built on damaged ones."""
    ended: str = ""
    """Error or structural fault with which the stream ended."""
    faults: list[str] = field(default_factory=list)
    """Errors that FFmpeg logged while it decoded frames, which are marked as damaged."""
    unreadable: list[str] = field(default_factory=list)
    """Errors that FFmpeg logged where it could not read the container and went on behind them."""
    in_a_row: tuple[int, int] = 0, 0
    """Largest number of refused packets in a row, and number of frames before them."""
    remarks: list[str] = field(default_factory=list)
    """Irregularities that are no damage."""
    cut_tail: bool = False
    """True if the last packet gave a damaged frame, or none."""
    _depends: bool = False

    @property
    def missing(self) -> int:
        """Number of stated packets that were not there, 0 if within the slack."""
        missing = self.stated - self.packets
        if self.slack and (missing <= 2 or missing <= 0.02 * self.stated):
            return 0
        return max(0, missing)

    @property
    def is_complete(self) -> bool:
        """True if all stated frames were decoded, and what follows is known to be none."""
        return self.has_trailer and 0 < self.stated <= self.frames

    def add_frame(self, *, is_corrupt: bool, is_key: bool) -> None:
        """Count one decoded frame."""
        if is_corrupt:
            self.corrupt.append(self.frames)
        self._depends = is_corrupt or (self._depends and not is_key)
        self.dependent += self._depends and not is_corrupt
        self.frames += 1

    def check(
        self, path: Path, *, max_corrupt: int, allow_truncated: bool, reached_end: bool = True
    ) -> None:
        """Raise if the video is damaged beyond what is allowed.

        If the reading did not reach the end, nothing is known about frames that are missing there.

        Raises
        ------
        VideoError
            If no frame was decoded.
        DamagedVideoError
            If frames are missing at the end, unless `allow_truncated`, or more than `max_corrupt`
            frames are corrupted.
        """
        if self.frames == 0:
            raise VideoError(f"{path}: no frame of it can be decoded; it is empty or damaged")
        if reached_end and not allow_truncated:
            self._check_end(path)
        corrupt, lost = len(self.corrupt), self.undecodable + len(self.unreadable)
        tail = sum(index >= self.frames - _TAIL_FRAMES for index in self.corrupt)
        if allow_truncated:
            corrupt, lost = corrupt - tail, 0
        if corrupt + lost <= max_corrupt:
            return
        if self.cut_tail and corrupt == tail and lost <= 1:
            raise DamagedVideoError(
                f"{path}: truncated after {self.frames} frames: the last one is damaged. {_WAY_OUT}"
            )
        where = f" (first: frame {self.corrupt[0]})" if self.corrupt else ""
        refused = f", {lost} packets cannot be read or decoded" if lost else ""
        run, place = self.in_a_row
        if lost and run >= _MANY:
            refused += f", {run} of them in a row behind frame {place}, as if the coding changed"
        logged = [*self.faults, *self.unreadable]
        refused += f" ({logged[0][:60]})" if logged else ""
        raise DamagedVideoError(
            f"{path}: damaged: {corrupt} of {self.frames} frames are corrupted{where}{refused}; "
            f"expected at most {max_corrupt}. Accept them with --max-corrupt {corrupt + lost}"
        )

    def describe(self) -> list[str]:
        """Return one line for each kind of damage that was found."""
        lines = list(self.remarks)
        if self.corrupt:
            lines.append(
                f"{len(self.corrupt)} of {self.frames} frames are corrupted, and {self.dependent} "
                "later frames up to the next key frame may be built on them"
            )
        unstarted = min(self.leading, self.packets - self.frames)
        if unstarted > 0:
            lines.append(f"{unstarted} frames before the first key frame cannot be decoded")
        if self.undecodable:
            lines.append(f"{self.undecodable} packets cannot be decoded")
        for fault in [*self.faults, *self.unreadable][:_MOST_FAULTS]:
            lines.append(f"FFmpeg reports: {fault}")
        if self.missing:
            lines.append(f"{self.packets} of {self.stated} stated frames are there")
        if self.ended:
            lines.append(f"truncated: {self.ended}")
        return lines

    def _check_end(self, path: Path) -> None:
        if self.missing:
            raise DamagedVideoError(
                f"{path}: truncated: {self.frames} frames decoded, {self.claim} {self.stated}. "
                f"{_WAY_OUT}"
            )
        if self.ended:
            raise DamagedVideoError(
                f"{path}: truncated after {self.frames} frames: {self.ended}. {_WAY_OUT}"
            )
