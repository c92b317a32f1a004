"""A directory of numbered images is a video too."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from flowstream import synthetic
from flowstream.errors import DamagedVideoError, VideoError
from flowstream.types import Images
from flowstream.video import Sampling, count_frames, is_video, probe, read_frames


def write(folder: Path, names: list[str], size: tuple[int, int] = (24, 32)) -> Path:
    """Flat images; the k-th name has the grey level 10k."""
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), np.full((*size, 3), 10 * index, np.uint8))
    return folder


def levels(path: Path, sampling: Sampling = Sampling()) -> list[int]:  # noqa: B008
    return [round(cast(Images, frame.luma).mean() / 10) for frame in read_frames(path, sampling)]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".JPG"])
def test_images_come_in_the_order_of_their_numbers(tmp_path: Path, suffix: str) -> None:
    # 10 before 9 for who sorts texts
    names = [f"img_{number}{suffix}" for number in range(1, 13)]
    folder = write(tmp_path / "film", names)
    (folder / "notes.txt").write_text("no frame")
    (folder / f"._img_3{suffix}").write_text("what a Mac leaves behind")
    (folder / f"cover{suffix}").write_text("no number")
    assert is_video(folder)
    assert levels(folder) == list(range(12))
    assert count_frames(folder) == 12
    info = probe(folder)
    assert (info.rows, info.columns) == (24, 32)
    assert (info.fps, info.seconds, info.header_frames) == (0.0, None, 12)
    frames = list(read_frames(folder, Sampling(step=5, short_side=12), rgb=True))
    assert [frame.index for frame in frames] == [0, 5, 10]
    # nominally 25 a second
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.2, 0.4])
    assert cast(Images, frames[1].luma).shape == (12, 16)
    assert cast(Images, frames[1].rgb).shape == (12, 16, 3)


def test_luma_and_rgb_are_those_of_the_image(tmp_path: Path) -> None:
    rgb = np.stack([synthetic.texture((24, 32), seed=seed) for seed in range(3)], axis=-1)
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(tmp_path / name), rgb[..., ::-1])
    frame = next(iter(read_frames(tmp_path, rgb=True)))
    assert np.array_equal(cast(Images, frame.rgb), rgb)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    # two ways of rounding the same weights
    assert np.abs(cast(Images, frame.luma).astype(int) - grey).max() <= 1


def test_a_grey_folder_is_a_video(tmp_path: Path) -> None:
    grey = synthetic.texture((24, 32), seed=1)
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), grey)
    frame = next(iter(read_frames(tmp_path, rgb=True)))
    assert np.array_equal(cast(Images, frame.luma), grey)
    assert np.array_equal(cast(Images, frame.rgb), grey[..., None].repeat(3, axis=2))
    assert probe(tmp_path).pixel_format == "gray"


def test_images_of_two_sizes_are_refused_with_the_name(tmp_path: Path) -> None:
    write(tmp_path, ["a1.png", "a2.png", "a3.png"])
    cv2.imwrite(str(tmp_path / "a2.png"), np.zeros((24, 40), np.uint8))
    with pytest.raises(VideoError, match=r"a2\.png: the image is 40x24, the first .* 32x24"):
        levels(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path, content: bytes | None) -> None:
    write(tmp_path, ["a1.png", "a2.png", "a3.png"])
    image = tmp_path / "a2.png"
    image.write_bytes(image.read_bytes()[:-40] if content is None else content)
    for look in (levels, count_frames):
        with pytest.raises(VideoError, match=r"a2\.png: not an image that can be decoded"):
            look(tmp_path)


def test_a_gap_of_more_than_two_frames_and_two_per_cent_is_damage(tmp_path: Path) -> None:
    names = [f"{number:05d}.png" for number in range(1, 25)]
    write(tmp_path, names)
    for number in (7, 8):
        (tmp_path / f"{number:05d}.png").unlink()
    frames = list(read_frames(tmp_path))
    assert [frame.index for frame in frames] == list(range(22))
    # the gap keeps its time
    assert frames[6].seconds == pytest.approx(8 / 25)
    (tmp_path / "00009.png").unlink()
    with pytest.raises(DamagedVideoError, match=r"21 frames decoded, its numbering states 24\."):
        list(read_frames(tmp_path))
    assert len(list(read_frames(tmp_path, allow_truncated=True))) == 21


def test_numbers_with_a_constant_step_have_no_gaps(tmp_path: Path) -> None:
    write(tmp_path, [f"f{number}.png" for number in range(3, 60, 5)])
    assert levels(tmp_path) == list(range(12))
    assert probe(tmp_path).header_frames == 12


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a_1.png", "a_2.png", "b_1.png", "b_2.png"], r"2 sequences .*: a_\*\.png, b_\*"),
        (["a1.png", "a01.png"], r"a01\.png and a1\.png have the same number"),
        (["cover.png"], "without numbered images"),
    ],
)
def test_images_that_are_not_one_sequence_are_refused(
    tmp_path: Path, names: list[str], message: str
) -> None:
    write(tmp_path, names)
    with pytest.raises(VideoError, match=message):
        levels(tmp_path)


def test_resampling_by_fps_needs_times_that_images_have_not(tmp_path: Path) -> None:
    write(tmp_path, ["1.png", "2.png"])
    with pytest.raises(VideoError, match=r"no presentation times to sample at 5 fps; .* by step"):
        levels(tmp_path, Sampling(fps=5.0))


def test_a_folder_with_less_than_two_numbered_images_does_not_look_like_a_video(
    tmp_path: Path,
) -> None:
    assert not is_video(write(tmp_path, ["cover.png", "1.png"]))
    assert is_video(write(tmp_path, ["cover.png", "1.png", "2.png"]))
