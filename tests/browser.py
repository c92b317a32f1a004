"""A real browser for tests: Chromium, driven through chromedriver's WebDriver protocol."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


class Browser:
    """One window of Chromium."""

    def __init__(self, address: str, session: str) -> None:
        self._base = f"{address}/session/{session}"

    def open(self, page: Path, *, ready: bool = True) -> None:
        """Open a page and wait until its script says that it is ready."""
        call(f"{self._base}/url", {"url": page.absolute().as_uri()})
        if ready:
            self.wait("document.body.dataset.ready === 'yes'")

    def run(self, code: str) -> Any:
        """Run JavaScript and return the value of its `return`."""
        return call(f"{self._base}/execute/sync", {"script": code, "args": []})

    def wait(self, condition: str, *, seconds: float = 30) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"not true after {seconds} s: {condition}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press and release a key as a user does."""
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keys", "actions": actions})

    def point(self, x: float, y: float) -> None:
        """Move the pointer to a place in the window."""
        move = {"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)}
        self._act({"type": "pointer", "id": "mouse", "actions": [move]})

    def click(self, x: float, y: float) -> None:
        """Click a place in the window."""
        move = {"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)}
        buttons = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        self._act({"type": "pointer", "id": "mouse", "actions": [move, *buttons]})

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the page, and the colour scheme that the reader prefers."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._devtools("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, target: Path | None = None) -> bytes:
        """Return the window as PNG, and write it where a target is named."""
        image = base64.b64decode(call(f"{self._base}/screenshot"))
        if target is not None:
            target.write_bytes(image)
        return image

    def complaints(self) -> list[str]:
        """Return the errors and warnings of the console since the last call."""
        entries = call(f"{self._base}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def _act(self, source: dict[str, Any]) -> None:
        call(f"{self._base}/actions", {"actions": [source]})

    def _devtools(self, command: str, **parameters: Any) -> None:
        call(f"{self._base}/goog/cdp/execute", {"cmd": command, "params": parameters})


def call(address: str, body: dict[str, Any] | None = None) -> Any:
    """Send a WebDriver command and return its value."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(error.read().decode(errors="replace")) from None


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium with a fresh profile; skip the test where it is not installed."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed: no browser to test pages in")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for(address)
            options = {"binary": chromium, "args": [*_FLAGS, f"--user-data-dir={profile}"]}
            capabilities = {
                "browserName": "chrome",
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL"},
            }
            found = call(f"{address}/session", {"capabilities": {"alwaysMatch": capabilities}})
            yield Browser(address, found["sessionId"])
            request = urllib.request.Request(
                f"{address}/session/{found['sessionId']}", method="DELETE"
            )
            urllib.request.urlopen(request, timeout=30).close()
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(address: str) -> None:
    for _ in range(600):
        try:
            if call(f"{address}/status")["ready"]:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("chromedriver did not start within 30 s")
