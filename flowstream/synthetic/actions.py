"""Labelled toy action set: a class is an appearance and a motion; each stream sees one of them.

With A appearances and M motions, a classifier that sees the appearance alone is right once in M
times, and one that sees the motion alone once in A times. Only both together can always be right,
because

- scenes are stationary: textures have uniform phases, and discs are on a lattice with a uniform
  offset. They are drawn independently of the motion and continue beyond the frame on all sides, so
  that single frames of all motions have the same distribution;
- each frame is encoded alone (intra, constant quantiser), so that compression leaves no traces of
  the motion in it;
- appearances are hues of equal BT.601 luma and equal saturation: the luma, which flow is computed
  on, is the same for all of them except for rounding.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flowstream.disk import whole_file
from flowstream.errors import ParameterError
from flowstream.synthetic.files import write_video
from flowstream.synthetic.motion import disc_cover
from flowstream.synthetic.texture import Floats, Texture, random_texture, to_levels
from flowstream.types import Images, Size

HUES: dict[str, float] = {
    "red": 109.0,
    "green": 232.0,
    "blue": 351.0,
    "yellow": 171.0,
    "magenta": 52.0,
    "cyan": 289.0,
}
"""Appearances: angles in the (Cb, Cr) plane in degrees, of the pure colours in BT.601."""

MOTIONS: dict[str, float] = {
    "right": 0.0,
    "left": 180.0,
    "up": 270.0,
    "down": 90.0,
    "up_right": 315.0,
    "down_left": 135.0,
    "up_left": 225.0,
    "down_right": 45.0,
}
"""Motions: direction, degrees from right towards down."""

PARTS = ("train", "validation", "test")

# Luma 128 ± 48 with this chroma stays inside RGB for every hue, so that nothing is clipped and
# luma stays equal.
_SATURATION = 38.0
_LUMA_REACH = 48.0
# Pixels per frame: enough to see over ten frames, and few enough that every method follows them.
_SPEEDS = (1.2, 2.4)
_DRIFT = 0.3  # of the background, in any direction
_SPACING = 26.0  # of the discs
_RADII = (8.0, 11.0)
# Frames encoded alone at a constant quantiser: see above.
_INTRA = {"crf": "-1", "qp": "18", "g": "1", "preset": "veryfast"}


@dataclass(frozen=True, eq=False)
class Scene:
    """Random properties of a clip, drawn independently of its class."""

    background: Texture
    surface: Texture
    centres: Floats
    """(K, 2): x and y of the discs at the first frame, also far outside the frame."""
    radii: Floats
    """(K,), pixels."""
    speed: float
    """Pixels per frame."""
    swerve: float
    """Deviation from the direction of the motion, degrees."""
    drift: Floats
    """(2,): pixels per frame of the background."""
    tint: float
    """Deviation from the hue of the appearance, degrees."""
    saturation: float


def draw_scene(generator: np.random.Generator, *, size: Size, frames: int) -> Scene:
    """Draw a scene that fills `frames` frames of `size` for every direction of motion."""
    reach = max(size) / 2 + _SPEEDS[1] * frames + _RADII[1]
    # half a diagonal more, because the lattice is turned
    count = math.ceil(math.sqrt(2) * reach / _SPACING) + 1
    grid = np.stack(np.meshgrid(*2 * [np.arange(-count, count + 1)]), axis=-1).reshape(-1, 2)
    steps = grid + generator.uniform(0, 1, 2) + generator.uniform(-0.1, 0.1, grid.shape)
    angle = generator.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    heading = generator.uniform(0, 2 * np.pi)
    return Scene(
        background=random_texture(generator, contrast=30, finest=8, count=48),
        surface=random_texture(generator, contrast=24, coarsest=32, count=48),
        centres=_SPACING * steps @ turn.T + np.array([size[1], size[0]]) / 2,
        radii=generator.uniform(*_RADII, len(steps)),
        speed=generator.uniform(*_SPEEDS),
        swerve=generator.uniform(-15, 15),
        drift=generator.uniform(0, _DRIFT) * np.array([np.cos(heading), np.sin(heading)]),
        tint=generator.uniform(-12, 12),
        saturation=generator.uniform(0.85, 1) * _SATURATION,
    )


def render_frame(scene: Scene, time: int, *, appearance: str, motion: str, size: Size) -> Images:
    """Return frame `time`, (H, W, 3) uint8: tinted, textured discs over a grey background."""
    direction = math.radians(MOTIONS[motion] + scene.swerve)
    travelled = time * scene.speed * np.array([math.cos(direction), math.sin(direction)])
    hue = math.radians(HUES[appearance] + scene.tint)
    cb, cr = scene.saturation * math.cos(hue), scene.saturation * math.sin(hue)
    # ITU-R BT.601-7, from colour differences to R, G and B less luma
    tint = np.array([1.402 * cr, -0.344136 * cb - 0.714136 * cr, 1.772 * cb])
    cover = _cover_pixels(scene.centres + travelled, scene.radii, size=size)
    behind = scene.background.sample(size, shift=-time * scene.drift)
    before = scene.surface.sample(size, shift=-travelled)
    luma = 128 + (1 - cover) * behind + cover * np.clip(before, -_LUMA_REACH, _LUMA_REACH)
    return to_levels(luma[..., None] + cover[..., None] * tint)


def write_action_set(
    root: str | Path,
    *,
    appearances: int = 3,
    motions: int = 4,
    train: int = 8,
    validation: int = 2,
    test: int = 3,
    size: Size = (64, 64),
    frames: int = 28,
    fps: float = 25.0,
    seed: int = 0,
) -> Path:
    """Write the set as `root/CLASS/PART_NNN.mp4` with `root/manifest.csv`.

    A class is named like `red_left`. No two clips share a scene: each has its own random generator,
    seeded by seed, part, class and number. The clips of a held-out part therefore differ from all
    others in texture, position of the discs, speed, direction and tint, and more clips of one part
    do not change those of another.

    Parameters
    ----------
    root : path
        Created if missing; files of the same names are replaced.
    appearances, motions : int
        Number of entries of `HUES` and of `MOTIONS` that are used, from the first.
    train, validation, test : int
        Number of clips of each class in each part.
    size : (rows, columns)
        Even sides, which H.264 needs.
    frames : int
        Number of frames of each clip.
    fps : float
        Frames per second of each clip.
    seed : int
        Seed of the set.

    Returns
    -------
    The path of the manifest: `video,label,split`, videos relative to it, splits `train`,
    `validation` and `test`. It is written last.

    Raises
    ------
    ParameterError
        If there are fewer appearances or motions, or a number is out of range.
    """
    _check_numbers(appearances=appearances, motions=motions, size=size, frames=frames)
    root = Path(root)
    rows = []
    counts = dict(zip(PARTS, (train, validation, test), strict=True))
    for label, appearance, motion in _list_classes(appearances, motions):
        (root / label).mkdir(parents=True, exist_ok=True)
        for part, clip in ((part, k) for part, many in counts.items() for k in range(many)):
            key = [PARTS.index(part), [*HUES].index(appearance), [*MOTIONS].index(motion), clip]
            generator = np.random.default_rng([seed, *key])
            scene = draw_scene(generator, size=size, frames=frames)
            render = partial(render_frame, scene, appearance=appearance, motion=motion, size=size)
            name = f"{label}/{part}_{clip:03d}.mp4"
            write_video(root / name, map(render, range(frames)), fps=fps, options=_INTRA)
            rows.append((name, label, part))
    return _write_manifest(root / "manifest.csv", rows)


def _check_numbers(*, appearances: int, motions: int, size: Size, frames: int) -> None:
    for name, value, most in (
        ("appearances", appearances, len(HUES)),
        ("motions", motions, len(MOTIONS)),
    ):
        if not 1 <= value <= most:
            raise ParameterError(f"{name}: got {value}, expected 1 to {most}")
    if min(size) < 16 or size[0] % 2 or size[1] % 2:
        raise ParameterError(f"size: got {size}, expected even (rows, columns) of 16 or more")
    if frames < 2:
        raise ParameterError(f"frames: got {frames}, expected at least 2")


def _list_classes(appearances: int, motions: int) -> Iterator[tuple[str, str, str]]:
    for appearance in [*HUES][:appearances]:
        for motion in [*MOTIONS][:motions]:
            yield f"{appearance}_{motion}", appearance, motion


def _cover_pixels(centres: Floats, radii: Floats, *, size: Size) -> Floats:
    """Return the (H, W) share of each pixel that the discs cover."""
    margin = radii[:, None] + 1
    seen = ((centres > -margin) & (centres < np.array(size[::-1]) + margin)).all(axis=1)
    cover = np.zeros(size)
    for centre, radius in zip(centres[seen], radii[seen], strict=True):
        np.maximum(cover, disc_cover(centre, radius, size=size), out=cover)
    return cover


def _write_manifest(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("video", "label", "split"), *rows])
    with whole_file(path) as part:
        part.write_text(text.getvalue(), encoding="utf-8")
    return path
