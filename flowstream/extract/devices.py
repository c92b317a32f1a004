"""Several devices: each worker computes on one, and the workers share them out evenly."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flowstream.errors import ParameterError
from flowstream.extract.lock import locked
from flowstream.flow import FlowMethod

_POLL_SECONDS = 0.05


def on_device(method: FlowMethod, device: str) -> FlowMethod:
    """The method, computing on another device.

    Raises
    ------
    ParameterError
        If the method has no choice, or the device cannot be used here.
    """
    if not any(field.name == "device" for field in dataclasses.fields(method)):  # type: ignore[arg-type]
        raise ParameterError(
            f"device {device!r}: flow method {method.name!r} computes on the CPU only"
        )
    return dataclasses.replace(method, device=device)  # type: ignore[type-var]


@dataclass(frozen=True)
class Desk:
    """Seats for the workers of one run, each at a device; a worker takes one for each video.

    A seat is a file, locked while it is taken: the kernel frees those of a dead worker. It holds
    the process that had it last, who is to have it again, for what it keeps on that device.

    Parameters
    ----------
    folder : Path
        Of the files.
    devices : tuple of str
        Of each seat.
    """

    folder: Path
    devices: tuple[str, ...]

    @contextmanager
    def seat(self) -> Iterator[str]:
        """The device of a seat that is this worker's while the block runs."""
        while True:
            for index in sorted(range(len(self.devices)), key=self._preference):
                with locked(self._file(index), exclusive=True, patience=0.0) as free:
                    if free:
                        self._file(index).write_text(str(os.getpid()))
                        yield self.devices[index]
                        return
            time.sleep(_POLL_SECONDS)

    def _preference(self, index: int) -> int:
        """Its own first, then one that nobody had."""
        owner = self._file(index).read_text()
        return 0 if owner == str(os.getpid()) else 1 if not owner else 2

    def _file(self, index: int) -> Path:
        return self.folder / f"seat-{index}"


def make_desk(folder: Path, devices: Sequence[str], *, workers: int) -> Desk | None:
    """A seat for each worker, at one device after another; None where no devices are named."""
    if not devices:
        return None
    desk = Desk(folder, tuple(devices[k % len(devices)] for k in range(workers)))
    for index in range(workers):
        (folder / f"seat-{index}").touch()
    return desk
