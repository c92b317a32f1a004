"""The toy action set: neither stream can know the class, both together can."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError
from flowstream.synthetic.actions import Scene, draw_scene, render_frame
from flowstream.types import Images
from flowstream.video import probe, read_frames

SIZE = (64, 64)
FRAMES = 12
HUES = ("red", "green", "blue")
DIRECTIONS = ("right", "left", "up", "down")


def scene(seed: int, frames: int = FRAMES) -> Scene:
    return draw_scene(np.random.default_rng(seed), size=SIZE, frames=frames)


def frame(seed: int, time: int, *, appearance: str = "red", motion: str) -> Images:
    return render_frame(scene(seed), time, appearance=appearance, motion=motion, size=SIZE)


def test_a_scene_starts_the_same_whatever_the_motion() -> None:
    starts = [frame(5, 0, motion=motion) for motion in synthetic.MOTIONS]
    assert all(np.array_equal(start, starts[0]) for start in starts)
    ends = [frame(5, FRAMES - 1, motion=motion) for motion in synthetic.MOTIONS]
    for one, other in itertools.combinations(ends, 2):
        assert np.abs(one.astype(int) - other).mean() > 5


def test_flow_does_not_depend_on_the_appearance(tmp_path: Path) -> None:
    lumas = []
    for appearance in synthetic.HUES:
        frames = [frame(6, time, appearance=appearance, motion="left") for time in range(3)]
        path = synthetic.write_video(tmp_path / f"{appearance}.mp4", frames, options={"g": "1"})
        lumas.append(np.stack([cast(Images, seen.luma) for seen in read_frames(path)]))
    for luma in lumas[1:]:
        difference = np.abs(luma.astype(int) - lumas[0])
        # rounding to RGB and back and the encoder's; the texture itself varies by tens of levels
        assert difference.mean() < 1.5
        assert np.percentile(difference, 99) <= 6
    assert lumas[0].std() > 20


def test_discs_fill_every_frame_alike_whichever_way_they_move() -> None:
    # the share of the last frame that is coloured, by motion
    shares = {}
    for motion in DIRECTIONS:
        last = [frame(seed, FRAMES - 1, motion=motion) for seed in range(30)]
        shares[motion] = np.mean([coloured(image) for image in last])
    # each a mean of 30 shares, which differ by 0.05 from clip to clip: 0.05 / sqrt(30) = 0.01
    assert max(shares.values()) - min(shares.values()) < 0.05
    assert min(shares.values()) > 0.3


def coloured(image: Images) -> NDArray[np.bool_]:
    return np.asarray(np.ptp(image.astype(int), axis=-1) > 20, np.bool_)


@pytest.fixture(scope="module")
def action_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("actions")
    return synthetic.write_action_set(
        root, train=3, validation=1, test=2, size=SIZE, frames=FRAMES, seed=1
    )


def rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_manifest_names_every_clip_with_its_class_and_part(action_set: Path) -> None:
    listed = rows(action_set)
    assert action_set.name == "manifest.csv"
    assert list(listed[0]) == ["video", "label", "split"]
    assert len(listed) == 12 * 6
    expected = {f"{hue}_{direction}" for hue in HUES for direction in DIRECTIONS}
    assert {row["label"] for row in listed} == expected
    for label in expected:
        parts = sorted(row["split"] for row in listed if row["label"] == label)
        assert parts == ["test", "test", "train", "train", "train", "validation"]
    for row in listed:
        assert Path(row["video"]).parent.name == row["label"]
        info = probe(action_set.parent / row["video"])
        assert (info.rows, info.columns, info.header_frames, info.fps) == (64, 64, 12, 25.0)
    files = {str(path.relative_to(action_set.parent)) for path in action_set.parent.rglob("*.mp4")}
    assert files == {row["video"] for row in listed}


def test_every_frame_is_encoded_independently(action_set: Path) -> None:
    # what an encoder predicts from other frames leaves traces of the motion in one
    for row in rows(action_set)[::9]:
        with av.open(str(action_set.parent / row["video"])) as container:
            assert all(image.key_frame for image in container.decode(video=0))


def middle_frames(action_set: Path, part: str) -> tuple[list[Images], list[str]]:
    """One RGB frame of each clip, another time in each, and the clips' labels."""
    frames, labels = [], []
    for index, row in enumerate(row for row in rows(action_set) if row["split"] in part):
        every = list(read_frames(action_set.parent / row["video"], luma=False, rgb=True))
        frames.append(cast(Images, every[index % len(every)].rgb))
        labels.append(row["label"])
    return frames, labels


def mean_flows(action_set: Path, part: str) -> tuple[NDArray[np.float64], list[str]]:
    """Of each clip, the statistics of flow that a temporal stream could use, and the labels."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    features, labels = [], []
    for row in (row for row in rows(action_set) if row["split"] in part):
        lumas = [cast(Images, f.luma) for f in read_frames(action_set.parent / row["video"])]
        fields = np.stack(
            [
                method.calc(first, second, np.zeros((*SIZE, 2), np.float32))
                for first, second in itertools.pairwise(lumas)
            ]
        )
        speed = np.hypot(fields[..., 0], fields[..., 1])
        features.append([*fields.mean(axis=(0, 1, 2)), speed.mean(), speed.std()])
        labels.append(row["label"])
    return np.array(features), labels


def chroma(frames: list[Images]) -> NDArray[np.float64]:
    """(N, 2 + 27): mean colour difference and a coarse colour histogram of each frame."""
    features = []
    for frame in frames:
        r, g, b = np.moveaxis(frame.astype(float), -1, 0)
        histogram = np.histogramdd(frame.reshape(-1, 3) // 86, bins=3, range=[(0, 3)] * 3)[0]
        features.append([(r - g).mean(), (b - g).mean(), *100 * histogram.ravel() / frame.size])
    return np.array(features)


def nearest_mean(
    known: NDArray[np.float64], names: list[str], unknown: NDArray[np.float64]
) -> list[str]:
    """The simplest classifier that there is."""
    classes = sorted(set(names))
    scale = known.std(axis=0) + 1e-9
    means = np.stack([known[[name == k for name in names]].mean(axis=0) for k in classes])
    distance = np.linalg.norm((unknown[:, None] - means) / scale, axis=2)
    return [classes[index] for index in distance.argmin(axis=1)]


def accuracy(guesses: list[str], truth: list[str]) -> float:
    return float(np.mean([guess == label for guess, label in zip(guesses, truth, strict=True)]))


def split(labels: list[str]) -> tuple[list[str], list[str]]:
    """(appearances, motions) of labels."""
    return [label.split("_")[0] for label in labels], [label.split("_", 1)[1] for label in labels]


def test_frames_show_only_appearance_and_flow_shows_only_motion(
    action_set: Path,
) -> None:
    known_frames, known_labels = middle_frames(action_set, "train")
    frames, labels = middle_frames(action_set, "test validation")
    known_flow, flow = (mean_flows(action_set, part)[0] for part in ("train", "test validation"))
    known_hues, known_motions = split(known_labels)
    hues, motions = split(labels)
    seen_hues = nearest_mean(chroma(known_frames), known_hues, chroma(frames))
    seen_motions = nearest_mean(known_flow, known_motions, flow)
    assert accuracy(seen_hues, hues) == 1
    assert accuracy(seen_motions, motions) == 1
    both = [f"{hue}_{motion}" for hue, motion in zip(seen_hues, seen_motions, strict=True)]
    assert accuracy(both, labels) == 1
    # of 36 clips, chance is right in 9 (motion) and 12 (hue): three standard deviations more
    assert accuracy(nearest_mean(chroma(known_frames), known_motions, chroma(frames)), motions) < (
        0.25 + 3 * np.sqrt(0.25 * 0.75 / 36)
    )
    assert accuracy(nearest_mean(known_flow, known_hues, flow), hues) < (
        1 / 3 + 3 * np.sqrt(1 / 3 * 2 / 3 / 36)
    )


def test_held_out_clips_share_no_scene_with_any_other(action_set: Path) -> None:
    starts = np.stack(
        [
            cast(Images, next(iter(read_frames(action_set.parent / row["video"]))).luma).ravel()
            for row in rows(action_set)
        ]
    )
    alike = np.corrcoef(starts) - np.eye(len(starts))
    # two textures of some dozen blobs correlate by chance; two clips of one scene by 0.99
    assert np.abs(alike).max() < 0.7
    drawn = [scene(seed) for seed in range(20)]
    assert len({round(one.speed, 9) for one in drawn}) == 20
    assert len({tuple(one.centres[0]) for one in drawn}) == 20


def test_the_set_is_the_same_for_a_seed_and_another_for_another(tmp_path: Path) -> None:
    def start(name: str, **options: Any) -> Images:
        small = {"appearances": 1, "motions": 1, "validation": 0, "test": 0, "frames": 2}
        root = tmp_path / name
        synthetic.write_action_set(root, **{**small, "train": 1, **options})
        return cast(Images, next(iter(read_frames(root / "red_right/train_000.mp4"))).luma)

    first = start("a")
    assert np.array_equal(first, start("b"))
    # more clips, classes or parts change none that was there
    assert np.array_equal(first, start("c", train=2, motions=2, test=1))
    assert not np.array_equal(first, start("d", seed=1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"appearances": 0}, "appearances: got 0, expected 1 to 6"),
        ({"appearances": 7}, "appearances: got 7"),
        ({"motions": 9}, "motions: got 9, expected 1 to 8"),
        ({"size": (63, 64)}, "expected even"),
        ({"size": (64, 63)}, "expected even"),
        ({"size": (8, 64)}, "16 or more"),
        ({"frames": 1}, "frames: got 1"),
    ],
)
def test_an_invalid_action_set_is_refused(
    tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        synthetic.write_action_set(tmp_path / "set", **values)
    assert not (tmp_path / "set").exists()
