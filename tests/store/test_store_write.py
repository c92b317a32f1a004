"""Writing a stack: what the file holds, and that it appears whole or not at all."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.codec import CODECS
from flowstream.errors import (
    CodecError,
    ParameterError,
    ShapeError,
    StackError,
    UnknownNameError,
)
from flowstream.store import (
    COMPRESSIONS,
    StackWriter,
    create_stack,
    encode_jpeg,
    open_stack,
    verify_stack,
)
from tests.store.conftest import make_header

SIZE = (20, 28)


def begin(path: Path, outputs: Collection[str] = (), **changes: Any) -> StackWriter:
    return create_stack(path, make_header(**changes), outputs=outputs)


still = np.zeros((1, 2, *SIZE), np.float32)
image = encode_jpeg(np.zeros((*SIZE, 3), np.uint8))


@pytest.mark.parametrize("compression", list(COMPRESSIONS))
@pytest.mark.parametrize("codec", list(CODECS))
def test_every_compression_keeps_every_codec_to_the_bit(
    write: Any, content: Any, codec: str, compression: str
) -> None:
    coder = CODECS[codec]()
    path = write(compression=compression, codec=coder)
    verify_stack(path)
    with open_stack(path) as stack:
        assert stack.compression == compression
        assert stack.codec == coder
        expected = coder.encode(content.vectors).reshape(12, *SIZE)
        assert (stack.codes(0, 6) == expected).all()


def test_the_same_input_gives_the_same_bytes_whatever_the_batch(write: Any) -> None:
    one, other = write("one.h5", batch=1), write("other.h5", batch=6)
    # HDF5 places metadata by the time they are written, so files may differ, but no value does
    with open_stack(one) as first, open_stack(other) as second:
        assert first.summary()["item_digests"] == second.summary()["item_digests"]
        assert first.header == second.header
    assert one.read_bytes() == write("again.h5", batch=1).read_bytes()


def test_dataclasses_are_recorded_as_their_provenance(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Method:
        name = "made up"
        scales: tuple[int, ...] = (1, 2)
        threads: int = dataclasses.field(default=4, compare=False)

    with begin(tmp_path / "x.h5", method=Method()) as writer:
        fill(writer)
    with open_stack(tmp_path / "x.h5") as stack:
        assert stack.method == {"name": "made up", "scales": [1, 2]}


def test_a_source_name_that_is_not_utf_8_is_recorded_with_escapes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    with begin(tmp_path / "x.h5", source=name) as writer:
        fill(writer)
    verify_stack(tmp_path / "x.h5")
    with open_stack(tmp_path / "x.h5") as stack:
        assert stack.source == r"caf\udce9.mp4"


def fill(writer: Any) -> None:
    writer.add_frame(0, 0.0)
    writer.add_frame(1, 0.04)
    writer.add_fields(still)


def test_folders_are_made_and_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "clip.h5"
    path.parent.mkdir(parents=True)
    path.write_text("older")
    with begin(path) as writer:
        fill(writer)
        assert path.read_text() == "older"
    verify_stack(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["clip.h5"]


def test_an_exception_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with begin(tmp_path / "x.h5") as writer:
            fill(writer)
            assert (tmp_path / "x.h5.part").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_stale_part_file_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.h5.part").write_bytes(b"left by a killed process" * 10_000)
    with begin(tmp_path / "x.h5") as writer:
        fill(writer)
    verify_stack(tmp_path / "x.h5")
    assert (tmp_path / "x.h5").stat().st_size < 100_000


@pytest.mark.parametrize(
    ("frames", "fields", "message"),
    [
        (0, 0, "got 0 frames, expected at least 2"),
        (1, 0, "got 1 frames, expected at least 2"),
        (3, 1, "got 2 entries of flow for 3 frames, expected 4"),
        (3, 3, "got 6 entries of flow for 3 frames, expected 4"),
    ],
)
def test_a_stack_that_is_not_whole_is_refused_at_the_end(
    tmp_path: Path, frames: int, fields: int, message: str
) -> None:
    def write() -> None:
        with begin(tmp_path / "x.h5") as writer:
            for index in range(frames):
                writer.add_frame(index, index / 25)
            for _ in range(fields):
                writer.add_fields(still)

    with pytest.raises(StackError, match=message):
        write()
    assert list(tmp_path.iterdir()) == []


def test_invalid_values_are_refused_when_they_are_added(tmp_path: Path) -> None:
    with begin(tmp_path / "x.h5", ["rgb"]) as writer:
        with pytest.raises(StackError, match="frame 0: got no image, expected one"):
            writer.add_frame(0, 0.0)
        with pytest.raises(StackError, match=r"\(10, 28\) rows and columns, expected \(20, 28\)"):
            writer.add_frame(0, 0.0, encode_jpeg(np.zeros((10, 28, 3), np.uint8)))
        with pytest.raises(StackError, match="not a complete JPEG image"):
            writer.add_frame(0, 0.0, image[:-10])
        with pytest.raises(ParameterError, match="got time nan"):
            writer.add_frame(0, float("nan"), image)
        with pytest.raises(ParameterError, match="got frame -1 after frame 0"):
            writer.add_frame(-1, 0.0, image)
        with pytest.raises(ShapeError, match=r"shape \(2, 20, 28\), expected \(2, 2, 20, 28\)"):
            writer.add_fields(still[0])
        with pytest.raises(CodecError, match="not finite"):
            writer.add_fields(np.full_like(still, np.nan))
        # nothing of that was taken
        assert (writer.num_frames, writer.num_fields) == (0, 0)
        writer.add_frame(3, 0.0, image)
        with pytest.raises(ParameterError, match="got frame 2 after frame 3"):
            writer.add_frame(2, 0.1, image)
        writer.add_frame(3, 0.1, image)
        writer.add_fields(still)
    verify_stack(tmp_path / "x.h5")


def test_an_image_for_a_stack_without_images_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(StackError, match="got an image, expected none"),
        begin(tmp_path / "x.h5") as writer,
    ):
        writer.add_frame(0, 0.0, image)


def test_a_writer_outside_its_with_statement_is_refused(tmp_path: Path) -> None:
    writer = begin(tmp_path / "x.h5")
    with pytest.raises(StackError, match="use: with create_stack"):
        writer.add_frame(0, 0.0)
    assert list(tmp_path.iterdir()) == []
    with writer:
        fill(writer)
    with pytest.raises(StackError, match="use: with create_stack"):
        writer.add_fields(still)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (0, 28)}, "got 0 rows"),
        ({"size": (20, 0)}, "and 0 columns"),
        ({"size": (30_000, 30_000)}, "at most 33554432 pixels"),
        ({"fps": float("nan")}, "fps: got nan"),
        ({"fps": -1.0}, "fps: got -1.0"),
        ({"source_bytes": -1}, "source_bytes: got -1"),
        ({"source_size": (-1, 5)}, "source_size: got"),
        ({"sample_aspect": 5}, "sample_aspect: got 5, expected a string"),
        ({"method": {"name": "x" * 70_000}}, "at most 60000"),
        ({"method": {"name": {1, 2}}}, "cannot be recorded"),
        ({"sampling": {"fps": float("inf")}}, "cannot be recorded"),
    ],
)
def test_invalid_header_values_are_refused_before_a_file_is_created(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        begin(tmp_path / "x.h5", **change)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_compression_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'gzip'"):
        begin(tmp_path / "x.h5", compression="gzp")
