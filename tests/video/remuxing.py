"""Copies of videos in other containers and with other time stamps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av


def remux(
    source: Path, target: Path, stamp: Callable[[int, int], int] = lambda index, old: old
) -> Path:
    """Copy packets to another file; packet `index` moves from time `old` to `stamp(index, old)`."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.dts is not None]
        for index, packet in enumerate(packets):
            later = stamp(index, packet.dts or 0) - (packet.dts or 0)
            packet.pts, packet.dts = (packet.pts or 0) + later, (packet.dts or 0) + later
            packet.stream = copy
            new.mux(packet)
    return target
