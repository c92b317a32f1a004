"""A directory with files of many containers: all are found, read and estimated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from flowstream import synthetic
from flowstream.cli import main
from flowstream.store import open_stack

MPEG2 = {"codec": "mpeg2video"}
CONTAINERS: dict[str, dict[str, Any]] = {
    "a.mxf": MPEG2,
    "b.m2v": MPEG2,
    "c.mjpeg": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "d.qt": {},
    "e.f4v": {},
    "f.h265": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "g.ogg": {"codec": "libvpx"},
    "h.dv": {"codec": "dvvideo"},
    "i.3g2": {"codec": "mpeg4"},
    "j.mpg": MPEG2,
    "k.unknown": {},
}
_WRITTEN_AS = {".qt": ".mov", ".unknown": ".mkv"}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of textures that move by (2, 1) pixels a frame, and of other files."""
    directory = tmp_path_factory.mktemp("videos")
    for name, options in CONTAINERS.items():
        path = directory / name
        size = (576, 720) if path.suffix == ".dv" else (64, 96)  # DV has no other sizes
        image = synthetic.texture(size, seed=3)
        frames = [np.roll(image, (k, 2 * k), (0, 1)) for k in range(5)]
        suffix = _WRITTEN_AS.get(path.suffix, path.suffix)
        synthetic.write_video(path.with_suffix(suffix), frames, **options).rename(path)
    (directory / "notes.txt").write_text("no video")
    (directory / "song.mp3").write_bytes(b"ID3" + bytes(100))
    (directory / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (directory / "weights.bin").write_bytes(b"no video" * 50)
    return directory


@pytest.mark.parametrize("verb", ["extract", "plan"])
def test_every_container_is_taken_and_what_was_passed_over_is_named(
    videos: Path, tmp_path: Path, verb: str
) -> None:
    out = tmp_path / "out"
    options = ["--method", "dis", "--backend", "sequential", "--no-rgb"]
    done = CliRunner().invoke(main, [verb, str(videos), "--out", str(out), *options])
    assert done.exit_code == 0, done.stderr
    for text in (
        "notes.txt (not a video by its suffix .txt)",
        "song.mp3 (not a video by its suffix .mp3)",
        "cover.jpg (a single image)",
        "weights.bin (not a video",
    ):
        assert text in done.stderr
    if verb == "plan":
        assert f"{len(CONTAINERS)}" in done.output
        return
    for name in CONTAINERS:
        with open_stack(out / f"{Path(name).stem}.h5") as stack:
            assert stack.num_fields == 4, name
            motion = np.median(stack.window(0, 4).reshape(4, 2, -1), axis=(0, 2))
        # a quarter of a pixel: compression at a low resolution
        assert motion == pytest.approx((2, 1), abs=0.25), name
