"""Flow from a process that owns a device: what a worker sends, and what it gets back.

A worker decodes a video, sends windows of frames to the process of a device over a local socket,
and writes the codes that come back. Frames and codes are bytes; no object is unpickled.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowstream.codec import Codec
from flowstream.codec.encoding import COUNTS, EncodedFields
from flowstream.errors import ExtractionError, FlowstreamError
from flowstream.extract.settings import ExtractSettings
from flowstream.types import Images, Vectors

AHEAD = 2
"""Number of windows that a worker has sent before it waits for the fields of the first one."""

_REQUEST = struct.Struct("<4I")  # frames, rows, columns, channels (0: luma)
_REPLY = struct.Struct("<BQ")  # 1 for fields, 0 for an error; number of bytes
_BUFFER = 4 << 20  # bytes that the system holds for each socket


class DeviceLostError(ExtractionError):
    """The process of a device has ended; no video can be extracted any more."""


@dataclass(frozen=True)
class FlowLayout:
    """Output that the process of a device computes with its method.

    Parameters
    ----------
    codec : Codec or None
        Codec of the fields that are sent back; None sends vectors.
    directions : {1, 2}
    """

    codec: Codec | None
    directions: int


def flow_layout(settings: ExtractSettings) -> FlowLayout:
    """Return what the process of a device computes; computed outputs need vectors."""
    needs_vectors = bool(settings.outputs) or settings.stabilise is not None
    codec = None if needs_vectors else settings.codec
    return FlowLayout(codec, 2 if settings.needs_backward else 1)


@contextmanager
def connect_to(address: str | None, settings: ExtractSettings) -> Iterator[RemoteFlow | None]:
    """Connect to the process of a device; yield None without an address."""
    if address is None:
        yield None
        return
    remote = RemoteFlow(address, flow_layout(settings))
    try:
        yield remote
    finally:
        remote.close()


class RemoteFlow:
    """Connection of one worker to the process of a device.

    Parameters
    ----------
    address : str
        Path of the socket.
    spec : FlowLayout
    """

    def __init__(self, address: str, spec: FlowLayout) -> None:
        self._spec = spec
        self._address = address
        self._socket = open_socket()
        try:
            self._socket.connect(address)
        except OSError as error:
            self._socket.close()
            raise self._lost() from error

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def submit(self, window: Images) -> Callable[[], list[EncodedFields | Vectors]]:
        """Send n + 1 frames; return a function that waits for the fields of each direction.

        The functions must be called in the order of the windows.
        """
        channels = window.shape[3] if window.ndim == 4 else 0
        try:
            self._socket.sendall(_REQUEST.pack(*window.shape[:3], channels))
            self._socket.sendall(np.ascontiguousarray(window).data.cast("B"))
        except OSError as error:
            raise self._lost() from error
        size = (len(window) - 1, 2, *window.shape[1:3])
        return lambda: self._receive(size)

    def _receive(self, shape: tuple[int, ...]) -> list[EncodedFields | Vectors]:
        head = bytearray(_REPLY.size)
        try:
            known = receive_into(self._socket, memoryview(head))
            is_fields, length = _REPLY.unpack(head)
            body = np.empty(length, np.uint8)
            known = known and receive_into(self._socket, body.data)
        except OSError as error:
            raise self._lost() from error
        if not known:
            raise self._lost()
        if not is_fields:
            raise FlowstreamError(body.tobytes().decode())
        return list(self._split(body, shape))

    def _split(
        self, body: NDArray[np.uint8], shape: tuple[int, ...]
    ) -> list[EncodedFields | Vectors]:
        codec, parts = self._spec.codec, np.split(body, self._spec.directions)
        if codec is None:
            return [part.view(np.float32).reshape(shape) for part in parts]
        cut = shape[0] * COUNTS * 8
        return [
            EncodedFields.of(
                codec,
                part[cut:].view(codec.dtype).reshape(shape),
                part[:cut].view(np.int64).reshape(-1, COUNTS),
            )
            for part in parts
        ]

    def _lost(self) -> DeviceLostError:
        return DeviceLostError(
            "the process that computes flow on the device has ended; its last words are above. Run "
            "the same command again to continue"
        )


def open_socket() -> socket.socket:
    """Return a socket for processes of this machine."""
    new = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        new.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
    return new


def receive_into(source: socket.socket, target: memoryview) -> bool:
    """Fill a buffer; return False if the other side ended the connection."""
    while target:
        count = source.recv_into(target)
        if count == 0:
            return False
        target = target[count:]
    return True


def receive_shape(source: socket.socket) -> tuple[int, ...] | None:
    """Return the shape of the next window; None at the end of the connection."""
    head = bytearray(_REQUEST.size)
    if not receive_into(source, memoryview(head)):
        return None
    frames, rows, columns, channels = _REQUEST.unpack(head)
    return (frames, rows, columns, channels) if channels else (frames, rows, columns)


def send_reply(target: socket.socket, parts: list[memoryview], *, is_fields: bool) -> None:
    """Send fields of all directions, or an error in UTF-8."""
    target.sendall(_REPLY.pack(is_fields, sum(part.nbytes for part in parts)))
    for part in parts:
        target.sendall(part)
