"""Small, full and read-only file systems for tests, in a mount namespace of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest


@cache
def _prefix() -> list[str]:
    """Return the command that starts another one in a new mount namespace; empty if none may."""
    if shutil.which("unshare") is None:
        return []
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    tried = subprocess.run(
        [*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    return [] if tried.returncode else command


def run_with_mounts(
    mounts: Mapping[str, str], module: str, *arguments: str | Path
) -> dict[str, Any]:
    """Run a module's cases in a process that sees a tmpfs at each path; return what it prints.

    Parameters
    ----------
    mounts : mapping from path to mount options
        `size=256k`, `ro`.
    module, arguments : str
        Program that prints one JSON object.
    """
    prefix = _prefix() if sys.platform == "linux" else []
    if not prefix:
        pytest.skip("this system lets a test mount no file system")
    lines = [f"mount -t tmpfs -o {options} tmpfs {path}" for path, options in mounts.items()]
    script = " && ".join([*lines, 'exec "$@"'])
    done = subprocess.run(
        [*prefix, "sh", "-c", script, "sh", sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
        timeout=400,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "stderr": done.stderr}
