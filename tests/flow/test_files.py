"""Flow files: round trips, comparison with other readers, and corrupted files."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from flowstream import read_flow, write_flow
from flowstream.errors import FlowFileError, ShapeError
from flowstream.flow.measure import known

Field = NDArray[np.float32]
SUFFIXES = [".flo", ".png", ".pfm"]

# hypothesis runs many examples in one directory; each overwrites the previous file
one_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def fields(draw: st.DrawFn, *, fastest: float) -> Field:
    """Draw a field with some unknown vectors."""
    shape = (2, draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    speeds = st.floats(-fastest, fastest, width=32)
    field: Field = draw(hnp.arrays(np.float32, shape, elements=speeds))
    field[:, draw(hnp.arrays(bool, shape[1:]))] = np.nan
    return field


@pytest.mark.parametrize("suffix", [".flo", ".pfm"])
@one_directory
@given(field=fields(fastest=999999936))  # the last float32 below 1e9
def test_flo_and_pfm_are_lossless(tmp_path: Path, suffix: str, field: Field) -> None:
    path = tmp_path / f"flow{suffix}"
    kept = field.copy()
    write_flow(path, field)
    back = read_flow(path)
    np.testing.assert_array_equal(back, field)
    np.testing.assert_array_equal(field, kept)
    assert back.dtype == np.float32
    assert back.flags.c_contiguous
    assert back.flags.writeable
    assert os.listdir(tmp_path) == [path.name]


@one_directory
@given(field=fields(fastest=511.984375))
def test_kitti_rounds_to_a_64th_of_a_pixel(tmp_path: Path, field: Field) -> None:
    path = tmp_path / "flow.png"
    write_flow(path, field)
    back = read_flow(path)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(field))
    # half a step plus the rounding of float32 near 512
    assert np.abs(back - field)[:, known(field)].max(initial=0) <= 1 / 128 + 3e-5
    write_flow(path, back)
    np.testing.assert_array_equal(read_flow(path), back)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_vector_with_one_unknown_component_is_unknown(tmp_path: Path, suffix: str) -> None:
    field = np.ones((2, 3, 4), np.float32)
    field[1, 2, 3] = np.nan
    write_flow(tmp_path / f"flow{suffix}", field)
    back = read_flow(tmp_path / f"flow{suffix}")
    assert np.isnan(back[:, 2, 3]).all()
    assert np.isfinite(back).sum() == 22


def test_flo_files_are_exchanged_with_opencv(tmp_path: Path) -> None:
    field = np.random.default_rng(1).normal(0, 9, (2, 5, 7)).astype(np.float32)
    write_flow(tmp_path / "ours.flo", field)
    peer = cv2.readOpticalFlow(str(tmp_path / "ours.flo"))
    np.testing.assert_array_equal(np.moveaxis(peer, 2, 0), field)
    assert cv2.writeOpticalFlow(str(tmp_path / "theirs.flo"), np.moveaxis(field, 0, 2).copy())
    assert (tmp_path / "theirs.flo").read_bytes() == (tmp_path / "ours.flo").read_bytes()


def test_unknown_vectors_are_1e10_in_flo_and_invalid_in_kitti(tmp_path: Path) -> None:
    field = np.zeros((2, 2, 2), np.float32)
    field[:, 0, 1] = np.nan
    field[:, 1, 0] = [2, -3]
    write_flow(tmp_path / "flow.flo", field)
    values = struct.unpack("<4sii8f", (tmp_path / "flow.flo").read_bytes())
    assert values == (b"PIEH", 2, 2, 0, 0, 1e10, 1e10, 2, -3, 0, 0)
    write_flow(tmp_path / "flow.png", field)
    image = cv2.imread(str(tmp_path / "flow.png"), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    assert image is not None
    red, green, blue = np.moveaxis(image[..., ::-1], 2, 0).tolist()
    assert red == [[32768, 0], [32768 + 128, 32768]]
    assert green == [[32768, 0], [32768 - 192, 32768]]
    assert blue == [[1, 0], [1, 1]]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pfm_is_read_bottom_row_first_in_either_byte_order(tmp_path: Path, order: str) -> None:
    rows = [[(1, 2, 7), (3, 4, 7)], [(5, 6, 7), (8, 9, 7)]]
    values = [value for row in reversed(rows) for vector in row for value in vector]
    scale = b"-1.0" if order == "<" else b"1.0"
    content = b"PF\n2 2\n" + scale + b"\n" + struct.pack(f"{order}12f", *values)
    (tmp_path / "flow.pfm").write_bytes(content)
    assert read_flow(tmp_path / "flow.pfm").tolist() == [[[1, 3], [5, 8]], [[2, 4], [6, 9]]]


def test_opencv_reads_the_pfm_that_is_written(tmp_path: Path) -> None:
    field = np.random.default_rng(2).normal(0, 9, (2, 5, 7)).astype(np.float32)
    write_flow(tmp_path / "flow.pfm", field)
    peer = cv2.imread(str(tmp_path / "flow.pfm"), cv2.IMREAD_UNCHANGED)
    assert peer is not None
    np.testing.assert_array_equal(np.moveaxis(peer[..., ::-1], 2, 0)[:2], field)
    assert not peer[..., 0].any()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_truncated_or_too_long_file_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"flow{suffix}"
    write_flow(path, np.ones((2, 4, 5), np.float32))
    content = path.read_bytes()
    # cut in the header, after the header, and in the field
    for length in (0, 1, 5, 11, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(FlowFileError, match=rf"flow\{suffix}: (not|truncated|corrupted)"):
            read_flow(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(FlowFileError, match=rf"flow\{suffix}: (not|truncated|corrupted)"):
        read_flow(path)


PIXELS: dict[str, NDArray[Any]] = {
    "8-bit": np.zeros((4, 5, 3), np.uint8),
    "grey": np.zeros((4, 5), np.uint16),
    "alpha": np.zeros((4, 5, 4), np.uint16),
}


@pytest.mark.parametrize("kind", PIXELS)
def test_a_png_that_is_not_16_bit_rgb_is_an_error(tmp_path: Path, kind: str) -> None:
    cv2.imwrite(str(tmp_path / "image.png"), PIXELS[kind])
    with pytest.raises(FlowFileError, match=r"not KITTI flow; expected 16-bit RGB, got"):
        read_flow(tmp_path / "image.png")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.flo", b"PIEX" + struct.pack("<ii2f", 1, 1, 0, 0), "expected 'PIEH'"),
        ("a.flo", b"PIEH" + struct.pack("<ii", -1, 5), "got -1 columns and 5 rows"),
        ("a.flo", b"PIEH" + struct.pack("<ii", 5, 0), "got 5 columns and 0 rows"),
        ("a.flo", b"PIEH" + struct.pack("<ii", 100000, 1), "got 100000 columns"),
        ("a.flo", b"PIEH" + struct.pack("<ii", 99999, 99999), "expected at most 67108864"),
        ("a.pfm", b"Pf\n1 1\n-1.0\n" + bytes(4), "three channels, got one"),
        ("a.pfm", b"PF\n0 1\n-1.0\n", "got 0 columns"),
        ("a.pfm", b"PF\n1 1\n-1.0.0\n" + bytes(12), "scale, got b'-1.0.0'"),
        ("a.pfm", b"P6\n1 1\n255\n" + bytes(12), "expected 'PF'"),
        ("a.png", b"not a picture", "not a PNG"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"IEND" + bytes(4), "not a PNG"),
        ("a.txt", b"", "suffix '.txt'; known: .flo, .png, .pfm"),
    ],
)
def test_a_file_of_another_format_is_an_error(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FlowFileError, match=message):
        read_flow(tmp_path / name)


def test_errors_of_the_file_system_name_the_operation(tmp_path: Path) -> None:
    field = np.zeros((2, 3, 4), np.float32)
    with pytest.raises(FlowFileError, match=r"none\.flo: cannot read the flow: No such file"):
        read_flow(tmp_path / "none.flo")
    with pytest.raises(FlowFileError, match="cannot write the flow: No such file"):
        write_flow(tmp_path / "none" / "flow.flo", field)
    (tmp_path / "directory.flo").mkdir()
    with pytest.raises(FlowFileError, match="cannot read the flow: Is a directory"):
        read_flow(tmp_path / "directory.flo")
    with pytest.raises(FlowFileError, match="cannot write the flow: Is a directory"):
        write_flow(tmp_path / "directory.flo", field)
    assert os.listdir(tmp_path) == ["directory.flo"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_invalid_field_is_an_error_and_the_old_file_is_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"flow{suffix}"
    write_flow(path, np.ones((2, 3, 4), np.float32))
    content = path.read_bytes()
    for value in (np.inf, -np.inf, 1e9):
        field = np.zeros((2, 3, 4), np.float32)
        field[0, 1, 1] = value
        with pytest.raises(FlowFileError, match="1 vectors have a component of 1e"):
            write_flow(path, field)
    for shape in ((3, 4), (3, 3, 4), (2, 0, 4), (1, 2, 3, 4)):
        with pytest.raises(ShapeError, match=r"expected shape \(2, H, W\)"):
            write_flow(path, np.zeros(shape, np.float32))
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("speed", [512.0, -512.01])
def test_vectors_outside_the_range_of_kitti_are_an_error(tmp_path: Path, speed: float) -> None:
    field = np.zeros((2, 3, 4), np.float32)
    field[1, 2, 2] = speed
    with pytest.raises(FlowFileError, match=r"1 vectors .* outside -512 to 511.98.*write .flo"):
        write_flow(tmp_path / "flow.png", field)


def test_benchmark_files_are_read_like_by_other_libraries(
    shared_data: Path, tmp_path: Path
) -> None:
    for path in sorted(shared_data.glob("middlebury/*/flow10.flo")):
        field, peer = read_flow(path), np.moveaxis(cv2.readOpticalFlow(str(path)), 2, 0)
        unknown = (np.abs(peer) >= 1e9).any(axis=0)
        np.testing.assert_array_equal(np.isnan(field).all(axis=0), unknown)
        np.testing.assert_array_equal(field[:, ~unknown], peer[:, ~unknown])
    path = shared_data / "kitti2015" / "kitti_occ_000010_10.png"
    field = read_flow(path)
    image = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    assert image is not None
    valid, green, red = np.moveaxis(image.astype(float), 2, 0)
    np.testing.assert_array_equal(known(field), valid == 1)
    np.testing.assert_array_equal(field[0][valid == 1], (red[valid == 1] - 2**15) / 64)
    np.testing.assert_array_equal(field[1][valid == 1], (green[valid == 1] - 2**15) / 64)
    write_flow(tmp_path / "again.png", field)
    again = cv2.imread(str(tmp_path / "again.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(again, image * (valid[..., None] == 1))
