"""Layered scenes with fast small objects and exact ground truth, to test flow methods.

Each layer has a texture, a shape with thin parts and a rigid or affine motion. Frames are averages
over the instants at which the shutter is open, so that fast layers are blurred by their motion. Two
kinds exist: `objects`, shapes with legs and holes that move over a moving background, like
FlyingChairs (Dosovitskiy et al., "FlowNet", ICCV 2015, doi:10.1109/ICCV.2015.316), and `figures`,
people with swinging limbs and a flying ball in front of a slowly moving camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import cv2
import numpy as np

from flowstream.errors import ParameterError
from flowstream.synthetic.painter import Painter
from flowstream.synthetic.rendering import FINER, Camera, Floats, Layer, Matrix, Scene, render
from flowstream.types import Images, Size

__all__ = ["Camera", "Kind", "Scene", "make_scene"]

Kind = Literal["objects", "figures"]


def make_scene(
    kind: Kind,
    *,
    seed: int,
    size: Size = (384, 512),
    camera: Camera | None = None,
    pictures: Sequence[Images] = (),
) -> Scene:
    """Render a random scene.

    Parameters
    ----------
    kind : {"objects", "figures"}
    seed : int
        The same arguments give the same scene.
    size : (rows, columns)
    camera : Camera, optional
    pictures : sequence of (H, W), uint8
        Photographs for the textures; without them random polygons are drawn.

    Raises
    ------
    ParameterError
        If `kind` is unknown.
    """
    if kind not in get_args(Kind):
        raise ParameterError(f"scene: expected one of {', '.join(get_args(Kind))}; got {kind!r}")
    random = np.random.default_rng(seed)
    painter = Painter(random, pictures)
    build = _objects if kind == "objects" else _figures
    layers = build(random, painter, size)
    return render(layers, size, camera=camera or Camera(), random=random)


def _objects(random: np.random.Generator, painter: Painter, size: Size) -> list[Layer]:
    """Return a background and 12 to 20 objects.

    The motions follow those of FlyingChairs: cubed normal numbers, most of them small, some large.
    """
    layers = [_background(random, painter, size, velocity=_cubed(random, 20))]
    for _ in range(int(random.integers(12, 21))):
        side = int(np.clip(random.normal(120, 80), 40, 300))
        velocity = layers[0].velocity + _cubed(random, 40)
        layers.append(
            Layer(
                texture=painter.texture((FINER * side, FINER * side)),
                alpha=_furniture(random, FINER * side),
                centre=random.uniform((0, 0), size[::-1]),
                velocity=velocity,
                turn=float(random.normal(0, 0.05)),
                growth=float(np.exp(random.normal(0, 0.03))),
                angle=float(random.uniform(0, 2 * np.pi)),
            )
        )
    return layers


def _figures(random: np.random.Generator, painter: Painter, size: Size) -> list[Layer]:
    """Return a slow background, one to three people with swinging limbs, and a ball."""
    velocity = _direction(random) * random.uniform(0, 3)
    layers = [_background(random, painter, size, velocity=velocity)]
    for _ in range(int(random.integers(1, 4))):
        height = size[0] * random.uniform(0.4, 0.9)
        hips = np.array([random.uniform(0.15, 0.85) * size[1], random.uniform(0.5, 0.8) * size[0]])
        layers += _person(random, painter, hips=hips, height=height)
    radius = float(random.uniform(3, 12))
    velocity = _direction(random) * random.uniform(8, 40)
    centre = random.uniform((0, 0), size[::-1])
    layers.append(_limb(painter, centre, centre, width=2 * radius, velocity=velocity, turn=0.3))
    return layers


def _person(
    random: np.random.Generator, painter: Painter, *, hips: Matrix, height: float
) -> list[Layer]:
    velocity = _direction(random) * np.exp(random.uniform(np.log(0.3), np.log(6)))
    neck = hips + np.array([random.normal(0, 0.05) * height, -0.35 * height])
    parts = []
    for joint, length, thickness in (
        (hips, 0.45, 0.07),
        (hips, 0.45, 0.07),
        (neck, 0.36, 0.045),
        (neck, 0.36, 0.045),
    ):
        angle = random.uniform(0, 2 * np.pi) if joint is neck else random.normal(np.pi / 2, 0.5)
        turn = float(random.normal(0, 0.2))
        middle = joint + 0.5 * length * height * np.array([np.cos(angle), np.sin(angle)])
        hand = middle + 0.5 * length * height * _unit(angle + random.normal(0, 0.6))
        # the lower part turns about the middle joint and moves with it
        lever = middle - joint
        swing = velocity + turn * np.array([-lever[1], lever[0]])
        lower = turn + float(random.normal(0, 0.25))
        width = thickness * height
        parts += [
            _limb(painter, joint, middle, width=width, velocity=velocity, turn=turn, pivot=joint),
            _limb(
                painter, middle, hand, width=0.8 * width, velocity=swing, turn=lower, pivot=middle
            ),
        ]
    body = _limb(painter, neck, hips, width=0.16 * height, velocity=velocity, turn=0.0)
    top = neck - np.array([0, 0.09 * height])
    head = _limb(painter, top, top, width=0.13 * height, velocity=velocity)
    return [*parts[:4], body, head, *parts[4:]]


def _limb(
    painter: Painter,
    start: Matrix,
    end: Matrix,
    *,
    width: float,
    velocity: Matrix,
    turn: float = 0.0,
    pivot: Matrix | None = None,
) -> Layer:
    """Return a capsule from `start` to `end`."""
    axis = end - start
    length = float(np.hypot(*axis))
    rows, columns = (int(np.ceil(FINER * side)) + 4 for side in (width, length + width))
    alpha = np.zeros((rows, columns), np.uint8)
    y, ends = rows // 2, (rows // 2, columns - 1 - rows // 2)
    cv2.line(alpha, (ends[0], y), (max(ends[1], ends[0]), y), 255, max(rows - 4, 1), cv2.LINE_AA)
    return Layer(
        texture=painter.texture((rows, columns)),
        alpha=(alpha / 255).astype(np.float32),
        centre=(start + end) / 2,
        velocity=np.asarray(velocity, np.float64),
        turn=turn,
        growth=1.0,
        angle=float(np.arctan2(axis[1], axis[0])),
        pivot=pivot,
    )


def _background(
    random: np.random.Generator, painter: Painter, size: Size, *, velocity: Matrix
) -> Layer:
    rows, columns = (FINER * (side + 160) for side in size)
    return Layer(
        texture=painter.texture((rows, columns)),
        alpha=np.ones((rows, columns), np.float32),
        centre=np.array([size[1] / 2, size[0] / 2]),
        velocity=velocity,
        turn=float(random.normal(0, 0.01)),
        growth=float(np.exp(random.normal(0, 0.01))),
    )


def _furniture(random: np.random.Generator, side: int) -> Floats:
    """Return the mask of a body with thin legs, bars and holes."""
    mask = np.zeros((side, side), np.uint8)
    middle = side / 2
    corners = middle + random.uniform(0.12, 0.34, (8, 1)) * side * np.stack(
        [_unit(angle) for angle in np.sort(random.uniform(0, 2 * np.pi, 8))]
    )
    cv2.fillPoly(mask, [corners.astype(np.int32)], 255, cv2.LINE_AA)
    for _ in range(int(random.integers(0, 6))):
        ends = middle + random.uniform(0.1, 0.48, (2, 1)) * side * np.stack(
            [_unit(angle) for angle in random.uniform(0, 2 * np.pi, 2)]
        )
        thickness = max(int(side * random.uniform(0.015, 0.06)), 2)
        start, end = (tuple(int(place) for place in point) for point in ends)
        cv2.line(mask, start, end, 255, thickness, cv2.LINE_AA)
    for _ in range(int(random.integers(0, 3))):
        hole = middle + random.uniform(-0.2, 0.2, 2) * side
        radius = max(int(side * random.uniform(0.03, 0.1)), 1)
        cv2.circle(mask, (int(hole[0]), int(hole[1])), radius, 0, -1, cv2.LINE_AA)
    return (mask / 255).astype(np.float32)


def _unit(angle: float) -> Matrix:
    return np.array([np.cos(angle), np.sin(angle)])


def _cubed(random: np.random.Generator, largest: float) -> Matrix:
    """Return a displacement (x, y) whose components are cubes of normal numbers."""
    return np.asarray(np.clip(random.normal(0, 2.3, 2) ** 3, -largest, largest))


def _direction(random: np.random.Generator) -> Matrix:
    return _unit(random.uniform(0, 2 * np.pi))
