"""Stacks in the formats of other tools, read back by those tools' rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from flowstream.codec.linear8 import Linear8
from flowstream.convert import FORMATS
from flowstream.convert.raw_import import read_raw_frames
from flowstream.convert.rawframes import RawFrames
from flowstream.errors import ConversionError, ParameterError, RecipeError
from flowstream.flow.files import read_flow
from flowstream.store import open_stack, verify_stack
from flowstream.types import Images, Vectors
from tests.command_line import call
from tests.small_stack import write_fields

SIZE = (16, 24)
PAIRS = 4


def smooth_vectors() -> Vectors:
    """Vectors as smooth as flow is, so that JPEG keeps them well."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    fields = [np.stack([x / 4 - 3 + k, y / 4 - 2 - k]) for k in range(PAIRS)]
    return np.stack(fields).astype(np.float32)


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """Two stacks of two classes, in the layout CLASS/VIDEO."""
    for name in ("walk/a", "run/b"):
        write_fields(
            tmp_path / "stacks" / f"{name}.h5",
            smooth_vectors(),
            images=[np.full((*SIZE, 3), 40 * t, np.uint8) for t in range(PAIRS + 1)],
            method={"name": "dis"},
            source=f"{name}.mp4",
        )
    return tmp_path / "stacks"


def run(*arguments: str | Path, code: int = 0) -> list[Path]:
    result = call("convert", *arguments, "--json")
    assert result.exit_code == code, result.output
    return [Path(path) for path in json.loads(result.stdout)["written"]] if not code else []


def grey(path: Path) -> Images:
    plane = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert plane is not None, path
    return plane.astype(np.uint8)


def vectors_of(path: Path) -> Vectors:
    with open_stack(path) as stack:
        return stack.window(0, stack.num_fields).reshape(-1, 2, *stack.size)


def test_the_tree_is_what_mmaction2_reads(stacks: Path, tmp_path: Path) -> None:
    # RawframeDataset: lines "frame_dir total_frames label"; RawFrameDecode with start_index 1 and
    # filename_tmpl "img_{:05}.jpg" for RGB, "{}_{:05}.jpg" with x and y for Flow.
    out = tmp_path / "frames"
    run(stacks, "--to", "rawframes", "--out", out, "--set", "naming=x")
    assert (out / "classes.txt").read_text() == "run\nwalk\n"
    for modality, template in (("rgb", "img_{:05}.jpg"), ("flow", "{}_{:05}.jpg")):
        lines = (out / f"annotations_{modality}.txt").read_text().splitlines()
        assert len(lines) == 2
        for line in lines:
            frame_dir, total_frames, label = line.split()
            assert (label, frame_dir) in {("0", "run/b"), ("1", "walk/a")}
            for number in range(1, int(total_frames) + 1):
                names = (
                    [template.format(number)]
                    if modality == "rgb"
                    else [template.format(axis, number) for axis in "xy"]
                )
                for name in names:
                    assert cv2.imread(str(out / frame_dir / name)) is not None, name
            last = int(total_frames) + 1
            assert not (out / frame_dir / f"x_{last:05d}.jpg").exists()


def test_the_tree_is_what_tsn_reads(stacks: Path, tmp_path: Path) -> None:
    # TSNDataSet: image_tmpl "img_{:05d}.jpg" for RGB, flow_prefix + "{}_{:05d}.jpg" for Flow, with
    # the prefix "flow_" for trees of denseflow; indices from 1; a stack of new_length fields starts
    # at up to num_frames - new_length + 1.
    out = tmp_path / "frames"
    run(stacks, "--to", "rawframes", "--out", out)
    template, new_length = "flow_{}_{:05d}.jpg", 3
    for line in (out / "annotations_flow.txt").read_text().splitlines():
        path, num_frames, _ = line.split()
        for start in range(1, int(num_frames) - new_length + 2):
            for k in range(start, start + new_length):
                planes = [grey(out / path / template.format(axis, k)) for axis in "xy"]
                vectors = Linear8(20.0).decode(np.stack(planes))
                # half a step of each codec, and what JPEG at quality 95 does to a ramp: two codes
                assert np.abs(vectors - smooth_vectors()[k - 1]).max() < 0.08 + 0.08 + 2 * 0.157


@pytest.mark.parametrize("naming", ["x", "flow_x"])
@pytest.mark.parametrize("start", [0, 1])
def test_raw_frames_become_the_stack_they_came_from(
    stacks: Path, tmp_path: Path, naming: str, start: int
) -> None:
    settings = [f"naming={naming}", f"start={start}", "image=png", "bound=15"]
    options = [text for setting in settings for text in ("--set", setting)]
    run(stacks, "--to", "rawframes", "--out", tmp_path / "frames", *options)
    again = tmp_path / "again"
    written = run(tmp_path / "frames", "--to", "stack", "--out", again, "--bound", "15")
    assert written == [again / "run/b.h5", again / "walk/a.h5"]
    for path in written:
        verify_stack(path)
        # half a step of linear8 at bound 15, and float32's rounding
        original = vectors_of(stacks / path.relative_to(again))
        assert np.abs(vectors_of(path) - original).max() <= 15 / 255 + 1e-5
        with open_stack(path) as new, open_stack(stacks / path.relative_to(again)) as old:
            assert new.codec == Linear8(15.0)
            assert [new.jpeg(t) for t in range(5)] == [old.jpeg(t) for t in range(5)]


def test_codes_of_raw_frames_are_kept_exactly(stacks: Path, tmp_path: Path) -> None:
    (target,) = run(stacks / "run/b.h5", "--to", "rawframes", "--out", tmp_path / "f")[:1]
    read_raw_frames(target, tmp_path / "x.h5", bound=20.0, fps=25.0)
    with open_stack(tmp_path / "x.h5") as stack:
        for k in range(PAIRS):
            plane = cv2.imread(str(target / f"flow_x_{k + 1:05d}.jpg"), cv2.IMREAD_GRAYSCALE)
            assert (stack.codes(k, 1)[0] == plane).all()
        assert stack.time.tolist() == [0.0, 0.04, 0.08, 0.12, 0.16]


def test_real_raw_frames_are_read(shared_data: Path, tmp_path: Path) -> None:
    read_raw_frames(shared_data / "rawframes", tmp_path / "x.h5", bound=20.0)
    verify_stack(tmp_path / "x.h5")
    with open_stack(tmp_path / "x.h5") as stack:
        assert (stack.num_fields, stack.has_rgb) == (5, True)


def test_flo_and_kitti_files_hold_the_fields(stacks: Path, tmp_path: Path) -> None:
    path = stacks / "run/b.h5"
    (flo,) = run(path, "--to", "flo", "--out", tmp_path / "flo")
    (kitti,) = run(path, "--to", "kitti", "--out", tmp_path / "kitti")
    truth = vectors_of(path)
    for k in range(PAIRS):
        assert (read_flow(flo / f"{k:05d}.flo") == truth[k]).all()
        # half of 1/64 pixel
        assert np.abs(read_flow(kitti / f"{k:06d}_10.png") - truth[k]).max() <= 1 / 128


def test_numpy_and_matlab_files_hold_the_flow(stacks: Path, tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="SciPy is not installed")
    path = stacks / "run/b.h5"
    truth = vectors_of(path)
    (npy,) = run(path, "--to", "npy", "--out", tmp_path)
    assert (np.load(npy) == truth).all()
    assert (np.load(npy, mmap_mode="r")[2] == truth[2]).all()
    (npz,) = run(path, "--to", "npz", "--out", tmp_path)
    with np.load(npz) as archive:
        assert (archive["flow"] == truth).all()
        assert archive["time"].tolist() == [0.0, 0.04, 0.08, 0.12, 0.16]
    (mat,) = run(path, "--to", "mat", "--out", tmp_path)
    content = scipy_io.loadmat(mat)
    assert (content["u"].transpose(2, 0, 1) == truth[:, 0]).all()
    assert (content["v"].transpose(2, 0, 1) == truth[:, 1]).all()


def test_a_stack_gets_another_compression_or_codec(stacks: Path, tmp_path: Path) -> None:
    plain, wide = tmp_path / "plain", tmp_path / "wide"
    run(stacks, "--to", "stack", "--out", plain, "--set", "compression=gzip")
    run(stacks, "--to", "stack", "--out", wide, "--set", "codec=fixed16")
    with open_stack(stacks / "run/b.h5") as old, open_stack(plain / "run/b.h5") as new:
        assert new.compression == "gzip"
        assert old.summary()["item_digests"] == new.summary()["item_digests"]
    with h5py.File(plain / "run/b.h5") as file:
        assert file["flow"].compression == "gzip"
    # half of 1/64 pixel
    difference = vectors_of(wide / "run/b.h5") - vectors_of(stacks / "run/b.h5")
    assert np.abs(difference).max() <= 1 / 128
    for path in (plain / "run/b.h5", wide / "walk/a.h5"):
        verify_stack(path)


def test_a_failed_conversion_gives_one_line(stacks: Path, tmp_path: Path) -> None:
    run(stacks, "--to", "rawframes", "--out", tmp_path / "f")
    run(stacks, "--to", "rawframes", "--out", tmp_path / "h")
    (tmp_path / "h/conversion.json").unlink()
    for name in ("a.h5", "odd/1.flo", "uv/u/v_1/frame1.jpg", "uv/v/v_1/frame1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    cases: list[tuple[list[str | Path], int, str]] = [
        (
            [tmp_path / "f", "--to", "npy", "--out", tmp_path / "g", "--bound", "20"],
            1,
            "--to stack",
        ),
        ([tmp_path / "h", "--to", "stack", "--out", tmp_path / "g"], 2, "b: raw frames do not"),
        ([tmp_path / "f", "--to", "stack", "-o", tmp_path / "g", "--bound", "9"], 2, "has 20, as"),
        ([tmp_path, "--to", "stack", "--out", tmp_path / "g"], 2, "--bound: missing"),
        ([tmp_path / "f", "--to", "stack", "-o", tmp_path / "g", "--bound", "-3"], 2, "--bound"),
        ([stacks, "--to", "npy", "--out", tmp_path / "g", "--bound", "20"], 2, "no effect"),
        ([stacks, "--to", "stack", "--out", tmp_path / "g", "--set", "bound=9"], 1, "codec"),
        ([stacks, "--to", "stack", "--out", stacks], 1, "would replace an input"),
        ([stacks / "run", "--to", "stack", "-o", stacks / "run"], 1, "would replace an input"),
        ([stacks / "walk/a.h5", tmp_path / "a.h5", "--to", "npy", "-o", "g"], 1, "output of both"),
        ([tmp_path / "odd", "--to", "npy", "--out", tmp_path / "g"], 1, "found 1 .flo"),
        ([tmp_path / "uv", "--to", "npy", "--out", tmp_path / "g"], 1, "rename their images"),
        ([stacks, "--to", "rawframe", "--out", tmp_path / "g"], 2, "Did you mean 'rawframes'"),
        ([stacks, "--to", "npy", "--out", tmp_path / "g", "--set", "x=1"], 1, "unknown key"),
    ]
    for arguments, code, fact in cases:
        result = call("convert", *arguments)
        assert result.exit_code == code, result.output
        assert fact in result.stderr
    (tmp_path / "f/run/b/flow_y_00002.jpg").unlink()
    with pytest.raises(ConversionError, match="y image 2 is missing"):
        read_raw_frames(tmp_path / "f/run/b", tmp_path / "x.h5", bound=20)
    assert not (tmp_path / "x.h5").exists()


@pytest.mark.parametrize(
    "changes", [{"start": 2}, {"naming": "u"}, {"image": "bmp"}, {"bound": -1}, {"quality": 0}]
)
def test_parameters_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((ParameterError, RecipeError)):
        RawFrames(**changes)


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_is_documented_and_leaves_no_file_after_an_error(
    name: str, stacks: Path, tmp_path: Path
) -> None:
    form = FORMATS[name]()
    assert form.name == name
    assert type(form).__doc__
    path = stacks / "run/b.h5"
    data = bytearray(path.read_bytes())
    with open_stack(path) as stack:
        offset = int(stack.open_file().index.items["flow"].blocks["offset"][2])
    data[offset] ^= 1
    path.write_bytes(data)
    with open_stack(path) as stack, pytest.raises(OSError, match="damaged"):
        form.convert(stack, tmp_path / "out" / "b")
    assert list((tmp_path / "out").iterdir()) == []
