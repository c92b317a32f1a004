"""Recording of live sources: their length and times, and sources that fail in any way."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import av
import cv2
import numpy as np
import pytest

from flowstream.errors import VideoError
from flowstream.stages.live import LiveSource, Shot
from flowstream.stages.recording import record
from flowstream.video import count_frames, probe

RATE = 20.0


def make_image(index: int, size: tuple[int, int] = (32, 48)) -> Any:
    return np.full((*size, 3), 10 * index % 250, np.uint8)


def send_images(handler: BaseHTTPRequestHandler, images: Iterator[Any], rate: float = RATE) -> None:
    """Send JPEG images one after the other, as network cameras do."""
    handler.send_response(200)
    handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
    handler.end_headers()
    for image in images:
        content = cv2.imencode(".jpg", image)[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
        handler.wfile.write(head.encode() + content + b"\r\n")
        handler.wfile.flush()
        time.sleep(1 / rate)


def endless(handler: BaseHTTPRequestHandler) -> None:
    send_images(handler, (make_image(k) for k in range(10_000)))


def slow(handler: BaseHTTPRequestHandler) -> None:
    send_images(handler, (make_image(k) for k in range(10_000)), rate=4)


def short(handler: BaseHTTPRequestHandler) -> None:
    send_images(handler, (make_image(k) for k in range(5)))


def single(handler: BaseHTTPRequestHandler) -> None:
    send_images(handler, (make_image(k) for k in range(1)))


def stalled(handler: BaseHTTPRequestHandler) -> None:
    short(handler)
    time.sleep(30)


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(30)


def broken(handler: BaseHTTPRequestHandler) -> None:
    short(handler)
    linger = struct.pack("ii", 1, 0)  # close sends a reset
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def resized(handler: BaseHTTPRequestHandler) -> None:
    sizes = [(32, 48)] * 5 + [(48, 64)] * 50
    send_images(handler, (make_image(k, size) for k, size in enumerate(sizes)))


def text(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"<html>no video</html>")


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


class Handler(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, Callable[[BaseHTTPRequestHandler], None]]] = {
        f"/{one.__name__}": one
        for one in (
            endless, slow, short, single, stalled, silent, broken, resized, text, missing
        )
    }  # fmt: skip

    def do_GET(self) -> None:
        with contextlib.suppress(OSError):  # the reader has seen enough
            self.answers[self.path](self)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server of streams."""
    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.daemon_threads = True
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


def read_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time or 0.0 for frame in container.decode(video=0)]


@pytest.mark.parametrize(("name", "rate"), [("endless", RATE), ("slow", 4.0)])
def test_a_recording_has_the_asked_length_at_any_rate(
    name: str, rate: float, server: str, tmp_path: Path
) -> None:
    begun = time.monotonic()
    path = record(f"{server}/{name}", tmp_path / "stream.mkv", seconds=2.0)
    # opening and the last frame; on a busy machine more
    assert time.monotonic() - begun < 2 + 5
    times = read_times(path)
    # a few may have arrived while the stream was opened
    assert 2 <= len(times) <= 2 * rate + 5
    # such streams have no clock, so the times are those of arrival
    assert 1.0 <= times[-1] < 2.0
    assert np.diff(times).min() > 0


def test_a_recording_ends_with_its_source(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = record(f"{server}/short", tmp_path / "stream.mkv", seconds=20.0)
    assert count_frames(path) == 5
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("stalled", "nothing arrived for 1.5 s"),
        ("broken", "the stream broke off: Connection reset by peer"),
        ("resized", "the stream changed its size from 48x32 to 64x48"),
    ],
)
def test_the_frames_before_a_fault_are_kept_with_a_warning(
    name: str, reason: str, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{server}/{name}"
    path = record(url, tmp_path / "stream.mkv", seconds=20.0, patience=1.5)
    assert 2 <= count_frames(path) <= 5
    assert (probe(path).columns, probe(path).rows) == (48, 32)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {url}: {reason}; using the")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("single", "got 1 frames|it ended"),
        ("silent", "nothing arrived for 1 s"),
        ("text", "it ended, or is not a video"),
        ("missing", "404 Not Found"),
    ],
)
def test_a_stream_without_frames_is_named_with_the_reason(
    name: str, reason: str, server: str, tmp_path: Path
) -> None:
    path = tmp_path / "stream.mkv"
    with pytest.raises(VideoError, match=rf"{server}/{name}: .*({reason})") as caught:
        record(f"{server}/{name}", path, seconds=5.0, patience=1.0)
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_a_server_that_refuses_is_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    with pytest.raises(VideoError, match=f"{url}: cannot open the stream: Connection refused"):
        record(url, tmp_path / "stream.mkv", seconds=1.0)


def test_a_clock_that_is_set_anew_does_not_disturb_the_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def jumping(*_: Any) -> Iterator[Shot]:
        for seconds in (7.0, 7.1, 7.2, 0.0, 0.1, 9000.0, 9000.1, 9000.1):
            yield Shot(make_image(0), seconds)

    monkeypatch.setattr("flowstream.stages.live._read_stream", jumping)
    times = [shot.seconds for shot in LiveSource("http://127.0.0.1/").take(60.0)]
    assert times == pytest.approx([0.1 * k for k in range(8)])


def test_frames_that_arrive_together_have_times_that_increase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bursting(*_: Any) -> Iterator[Shot]:
        for seconds in (7.0, 7.0001, 7.0002, 7.1, 7.1001, 7.2):
            yield Shot(make_image(0), seconds)

    monkeypatch.setattr("flowstream.stages.live._read_stream", bursting)
    times = [shot.seconds for shot in LiveSource("http://127.0.0.1/").take(60.0)]
    # recordings store milliseconds
    assert np.diff(times).min() >= 0.001
    assert times == pytest.approx([0.0, 0.0, 0.0, 0.1, 0.1, 0.2], abs=0.01)


class Camera:
    """Camera that is unplugged after some frames."""

    def __init__(self, frames: int) -> None:
        self.left = frames

    def isOpened(self) -> bool:
        return self.left >= 0

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return self.left >= 0, make_image(self.left)

    def release(self) -> None: ...


def test_a_camera_is_recorded_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: Camera(4 if number == 3 else -1))
    path = record("3", tmp_path / "camera.mkv", seconds=5.0)
    assert count_frames(path) == 4
    with pytest.raises(VideoError, match="0: cannot open the camera"):
        record("0", path, seconds=5.0)
