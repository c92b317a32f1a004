"""Errors of flow methods on several datasets, by speed, at motion boundaries, with disturbances.

Used by benchmarks/tvl1.py. Parameters were tuned on scenes of other seeds than those rendered here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream import METHODS
from flowstream.flow import measure
from flowstream.flow.files import read_flow
from flowstream.flow.tvl1 import TVL1
from flowstream.synthetic.scenes import Camera, make_scene
from flowstream.video import Sampling, read_frames

MIDDLEBURY = ("RubberWhale", "Urban2", "Venus", "Grove3")
PEER = "OpenCV DIS medium"
BANDS = ((0, 1), (1, 5), (5, 10), (10, 20), (20, np.inf))
TUNING_SEEDS = range(1000, 1300)
CHECK_SEEDS = range(2000, 2004)
CLIPS = 6

Image = NDArray[np.uint8]
Field = NDArray[np.float32]
Method = Callable[[Image, Image], Field]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two frames with ground truth; unknown vectors are NaN."""

    group: str
    name: str
    first: Image
    second: Image
    truth: Field


def luma(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)


def middlebury(directory: Path) -> Iterator[Pair]:
    for name in MIDDLEBURY:
        place = directory / "middlebury" / name
        first, second = (luma(place / f"frame{k}.png") for k in (10, 11))
        yield Pair("Middlebury", name, first, second, read_flow(place / "flow10.flo"))


def kitti(directory: Path) -> Iterator[Pair]:
    place = directory / "kitti2015"
    first, second = (luma(place / f"kitti_000010_{k}.png") for k in (10, 11))
    yield Pair("KITTI", "000010 occ", first, second, read_flow(place / "kitti_occ_000010_10.png"))


def stereo() -> Iterator[Pair]:
    """Yield the stereo pair of scikit-image (Middlebury 2014); its disparity is a flow."""
    import skimage.data

    data: Any = skimage.data
    left, right, disparity = data.stereo_motorcycle()
    first, second = (grey(image) for image in (left, right))
    known = np.isfinite(disparity)
    dx = np.where(known, -disparity, np.nan).astype(np.float32)
    dy = np.where(known, 0, np.nan).astype(np.float32)
    yield Pair("stereo", "motorcycle", first, second, np.stack([dx, dy]))


def grey(image: Image) -> Image:
    colour = image.ndim == 3
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if colour else image, np.uint8)


def scenes() -> Iterator[Pair]:
    """Yield rendered scenes of seeds that were not used for tuning."""
    import skimage.data

    pictures = [grey(getattr(skimage.data, name)()) for name in ("coffee", "cat", "camera")]
    for seed in CHECK_SEEDS:
        assert seed not in TUNING_SEEDS
        sharp = Camera(shutter=0.0, noise=0.0)
        scene = make_scene("objects", seed=seed, camera=sharp, pictures=pictures)
        yield Pair("objects", str(seed), scene.first, scene.second, scene.vectors)
        camera = Camera(gain=1.0 + 0.03 * (seed % 2))
        scene = make_scene("figures", seed=seed, size=(256, 340), camera=camera, pictures=pictures)
        yield Pair("figures", str(seed), scene.first, scene.second, scene.vectors)


def pairs(directory: Path | None) -> list[Pair]:
    real = [] if directory is None else [*middlebury(directory), *kitti(directory)]
    return [*real, *stereo(), *scenes()]


def print_errors(methods: Mapping[str, Method], directory: Path | None) -> None:
    """Print the mean error of each group, its ratio to DIS, and errors by speed."""
    everything = pairs(directory)
    fields = {
        title: [method(pair.first, pair.second) for pair in everything]
        for title, method in methods.items()
    }
    groups = list(dict.fromkeys(pair.group for pair in everything))
    print("\nMean end-point error, pixels / its ratio to DIS medium")
    print(f"{'method':20s}" + "".join(f"{group:>16s}" for group in groups))
    for title, found in fields.items():
        cells = []
        for group in groups:
            members = [k for k, pair in enumerate(everything) if pair.group == group]
            ours, peer = (
                [measure.average_end_point_error(f[k], everything[k].truth) for k in members]
                for f in (found, fields[PEER])
            )
            ratio = np.mean(np.divide(ours, peer))
            cells.append(f"{np.mean(ours):8.3f} / {ratio:5.2f}")
        print(f"{title:20s}" + "".join(cells))
    for group in groups:
        members = [k for k, pair in enumerate(everything) if pair.group == group]
        print_by_speed(group, [everything[k] for k in members], fields, members)


def print_by_speed(
    group: str, chosen: list[Pair], fields: Mapping[str, list[Field]], members: list[int]
) -> None:
    masks = [masks_of(pair.truth) for pair in chosen]
    sizes = np.array([[mask.sum() for mask in row] for row in masks]).sum(axis=0)
    names = [f"{low}-{high} px".replace("-inf", "+") for low, high in BANDS] + ["boundary"]
    share = sizes / sizes[: len(BANDS)].sum()
    print(
        f"\n{group}: mean end-point error by true speed, and within 3 pixels of a motion boundary"
    )
    print(f"{'share of pixels':20s}" + "".join(f"{value:>12.1%}" for value in share))
    print(f"{'':20s}" + "".join(f"{name:>12s}" for name in names))
    for title, found in fields.items():
        sums = np.zeros(len(names))
        for k, pair, row in zip(members, chosen, masks, strict=True):
            errors = measure.end_point_error(found[k], pair.truth)
            sums += [np.nansum(errors[mask]) for mask in row]
        cells = np.divide(sums, sizes, out=np.full(len(sums), np.nan), where=sizes > 0)
        print(f"{title:20s}" + "".join(f"{value:12.2f}" for value in cells))


def masks_of(truth: Field) -> list[NDArray[np.bool_]]:
    """Return the pixels of each speed band, and those near a jump of the true flow."""
    speed = np.hypot(truth[0], truth[1])
    known = measure.known(truth)
    jump = np.zeros(speed.shape, np.uint8)
    for axis in (1, 2):
        step = np.hypot(*np.diff(truth, axis=axis)) > 1
        where = (slice(None, -1), slice(None)) if axis == 1 else (slice(None), slice(None, -1))
        jump[where] |= step.astype(np.uint8)
    near = cv2.dilate(jump, np.ones((7, 7), np.uint8)) > 0
    bands = [known & (speed >= low) & (speed < high) for low, high in BANDS]
    return [*bands, near & known]


DISTURBANCES: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    "none": lambda image, random: image,
    "exposure x 1.15": lambda image, random: levels(image * 1.15),
    "exposure x 0.8": lambda image, random: levels(image * 0.8),
    "bands, 20 levels": lambda image, random: levels(
        image + 20 * np.sin(np.arange(len(image)) / 20)[:, None]
    ),
    "noise, 8 levels": lambda image, random: levels(image + random.normal(0, 8, image.shape)),
    "JPEG quality 25": lambda image, random: np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 25])[1], 0), np.uint8
    ),
}


def levels(values: NDArray[np.floating[Any]]) -> Image:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def print_disturbed(directory: Path | None) -> None:
    """Print errors where the second frame is disturbed, with and without the texture data term."""
    methods: dict[str, Any] = {
        "tvl1 default": TVL1(),
        "tvl1, texture 1": TVL1(texture=1.0),
        "tvl1, brightness": TVL1(texture=0.0),
        "tvl1 accurate": TVL1(preset="accurate"),
        PEER: METHODS["dis"](),
    }
    chosen = [pair for pair in pairs(directory) if pair.group in ("Middlebury", "figures")]
    print("\nMean end-point error with a disturbed second frame, Middlebury and figures")
    print(f"{'disturbance':20s}" + "".join(f"{title:>20s}" for title in methods))
    for name, disturb in DISTURBANCES.items():
        random = np.random.default_rng(7)
        seconds = [disturb(pair.second, random) for pair in chosen]
        cells = []
        for method in methods.values():
            errors = [
                measure.average_end_point_error(
                    method(pair.first[None], second[None])[0], pair.truth
                )
                for pair, second in zip(chosen, seconds, strict=True)
            ]
            cells.append(f"{np.mean(errors):20.3f}")
        print(f"{name:20s}" + "".join(cells))


def print_disagreement(methods: Mapping[str, Method], directory: Path) -> None:
    """Print the mean distance to RAFT (sintel) where real clips move."""
    weights = directory / "weights" / "raft-sintel.pth"
    build: Any = METHODS["raft"]
    raft = build(weights=str(weights), device="cpu")
    videos = sorted((directory / "ucf101" / "videos").glob("*/*.mp4"))
    sums = {title: np.zeros(2) for title in methods}
    for video in videos[:: max(len(videos) // CLIPS, 1)][:CLIPS]:
        frames = list(
            islice(read_frames(video, Sampling(size=(240, 320)), luma=True, rgb=True), 20, 22)
        )
        colour = [np.asarray(frame.rgb)[None] for frame in frames]
        first, second = (np.asarray(frame.luma) for frame in frames)
        reference = raft(*colour)[0]
        moving = np.hypot(*reference) > 1
        for title, method in methods.items():
            distance = measure.end_point_error(method(first, second), reference)[moving]
            sums[title] += distance.sum(), distance.size
    print(f"\nDistance to RAFT sintel on {CLIPS} UCF101 clips, pixels faster than 1 px by RAFT")
    for title, (total, count) in sums.items():
        print(f"{title:20s}{total / max(count, 1):8.3f}")
