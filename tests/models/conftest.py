"""Fixtures for tests of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make every download of weights fail, with an empty cache."""

    def fail(*_: Any, **__: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
