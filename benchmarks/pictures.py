"""Draw the pictures of the documentation from a rendered scene.

The scene has a textured background that pans slowly, a wheel that turns, a ball that moves fast and
an arm that swings. It is rendered, so that its pictures may be redistributed.

Usage: python benchmarks/pictures.py [DIRECTORY]     (default docs/images)
"""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.cli import main
from flowstream.synthetic.files import write_video
from flowstream.view import STYLES, find_scale, open_clip
from flowstream.view.lettering import draw_text
from flowstream.view.picture import write_picture
from flowstream.view.resizing import fit_columns, resize_picture

ROWS, COLUMNS, FRAMES = 240, 320, 30
FIELD = 12

# Cells of the picture of all styles.
CELL_ROWS, CELL_COLUMNS, ACROSS = 180, 240, 5


def make_texture(seed: int, colour: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Return a random texture of several scales, (2 ROWS, 2 COLUMNS, 3)."""
    random = np.random.default_rng(seed)
    total = np.zeros((2 * ROWS, 2 * COLUMNS), np.float32)
    for cells, weight in ((12, 0.5), (40, 0.3), (150, 0.2)):
        coarse = random.random((cells, cells), np.float32)
        shape = (2 * COLUMNS, 2 * ROWS)
        total += weight * cv2.resize(coarse, shape, interpolation=cv2.INTER_CUBIC)
    levels: NDArray[np.uint8] = np.clip(total[..., None] * np.array(colour) * 1.4, 0, 255).astype(
        np.uint8
    )
    return levels


def draw_layer(
    frame: NDArray[Any],
    layer: NDArray[Any],
    outline: NDArray[np.float64],
    *,
    matrix: NDArray[Any],
) -> NDArray[np.uint8]:
    """Return the frame with a moved layer in front, cut out by a polygon of the layer."""
    mask = np.zeros(layer.shape[:2], np.uint8)
    cv2.fillPoly(mask, [outline.astype(np.int32)], 255)
    size = (COLUMNS, ROWS)
    moved = cv2.warpAffine(layer, matrix, size, flags=cv2.INTER_CUBIC)
    alpha = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)[..., None] / 255
    mixed: NDArray[np.uint8] = np.round(alpha * moved + (1 - alpha) * frame).astype(np.uint8)
    return mixed


def disc(x: float, y: float, radius: float) -> NDArray[np.float64]:
    """Return the outline of a disc as a polygon, (64, 2)."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1)


def render_frames() -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of the scene, (ROWS, COLUMNS, 3)."""
    background, wheel, ball, arm = (
        make_texture(seed, colour)
        for seed, colour in enumerate(
            [(150, 170, 150), (210, 130, 80), (235, 210, 90), (90, 130, 220)]
        )
    )
    bar = np.array([[150, 20], [174, 20], [170, 130], [154, 130]], np.float64)
    for t in range(FRAMES):
        shift = np.array([[1, 0, -100 - 0.7 * t], [0, 1, -100.0]])
        frame = cv2.warpAffine(background, shift, (COLUMNS, ROWS), flags=cv2.INTER_CUBIC)
        turn = cv2.getRotationMatrix2D((80, 160), 4.0 * t, 1.0)
        frame = draw_layer(frame, wheel, disc(80, 160, 55), matrix=turn)
        swing = cv2.getRotationMatrix2D((162, 20), 35 * math.sin(0.35 * t), 1.0)
        swing[:, 2] += (70, 10)
        frame = draw_layer(frame, arm, bar, matrix=swing)
        flight = np.array([[1, 0, 5.0 * t - 40], [0, 1, 0.12 * (t - 15) ** 2]])
        yield draw_layer(frame, ball, disc(90, 45, 17), matrix=flight)


def draw_styles(stack: Path, target: Path) -> None:
    """Draw one field in every style, each above its name."""
    cells = []
    with open_clip(stack) as clip:
        for name, style in STYLES.items():
            scale = find_scale(clip, style, range(FIELD, FIELD + 1))
            drawing = style.draw(clip.moment(FIELD, style, scale=scale, factor=2))
            cell = np.full((CELL_ROWS + 34, CELL_COLUMNS + 12, 3), 255, np.uint8)
            # both components of dxdy side by side fill half of the rows
            size = fit_columns(drawing, CELL_COLUMNS)
            drawn = resize_picture(drawing, size, enlarge="linear")
            cell[6 : 6 + size[0], 6 : 6 + CELL_COLUMNS] = drawn
            draw_text(cell, name, (8, CELL_ROWS + 24), height=15)
            cells.append(cell)
    rows = [
        np.concatenate(cells[start : start + ACROSS], axis=1)
        for start in range(0, len(cells), ACROSS)
    ]
    write_picture(target, np.concatenate(rows, axis=0))


def run(*words: str | Path) -> None:
    """Run a command of flowstream; it ends with SystemExit, as programs do."""
    with contextlib.suppress(SystemExit):
        main([str(word) for word in words])


def draw_pictures(directory: Path) -> None:
    """Write all pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        video = write_video(Path(scratch) / "scene.mkv", render_frames())
        at = str(FIELD)
        shown = ("show", video, "--at", at, "--with-rgb", "-o", directory / "overview.png")
        methods = ("compare", video, "--methods", "tvl1,dis,farneback", "--at", at)
        run(*shown)
        run(*methods, "-o", directory / "methods.png")
        run("extract", video, "--out", scratch, "--backend", "sequential", "--quiet")
        draw_styles(Path(scratch) / "scene.h5", directory / "styles.png")


if __name__ == "__main__":
    draw_pictures(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
