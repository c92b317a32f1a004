"""One writer at a time, and what a full disk leaves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flowstream.errors import StackError
from flowstream.store.part_file import PartFile

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no advisory locks")


@unix
def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    first = PartFile(path)
    with pytest.raises(StackError, match="another process is writing this file"):
        PartFile(path)
    first.write(b"first")
    first.publish()
    second = PartFile(path)
    second.write(b"second")
    second.publish()
    assert path.read_bytes() == b"second"


@unix
def test_a_second_process_is_refused_and_a_dead_one_is_ignored(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.h5"
    script = (
        "import sys, os\n"
        "from pathlib import Path\n"
        "from flowstream.store.part_file import PartFile\n"
        "part = PartFile(Path(sys.argv[1])); part.write(b'half'); print('holds', flush=True)\n"
        "sys.stdin.read(); os._exit(1)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"holds\n"
        with pytest.raises(StackError, match="another process is writing"):
            PartFile(path)
        other.kill()
    part = PartFile(path)
    assert part.part.read_bytes() == b""
    part.write(b"whole")
    part.publish()
    assert path.read_bytes() == b"whole"


def test_a_discarded_part_leaves_nothing_and_discarding_a_published_one_does_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.h5"
    PartFile(path).discard()
    assert list(tmp_path.iterdir()) == []
    part = PartFile(path)
    part.publish()
    # the next writer's part file is not the first one's to remove
    after = PartFile(path)
    part.discard()
    assert after.part.exists()
    after.discard()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match=r"x\.h5\.part: cannot write: "):
        PartFile(tmp_path / "file" / "x.h5")
    (tmp_path / "y.h5.part").mkdir()
    with pytest.raises(StackError, match=r"y\.h5\.part: cannot write: Is a directory"):
        PartFile(tmp_path / "y.h5")


def test_written_bytes_are_read_back_and_gaps_are_zeros(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "x.h5")
    part.seek(4)
    part.write(b"data")
    part.seek(0)
    assert part.read(10) == b"\0\0\0\0data\0\0"
    assert part.seek(-2, 2) == 6
    assert part.read(2) == b"ta"
    part.discard()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from flowstream.codec.centred8 import Centred8
from flowstream.errors import StackError
from flowstream.store import Header, create_stack, encode_jpeg, verify_stack

path, size = Path(sys.argv[1]), (64, 64)
rng = np.random.default_rng(0)
fields = rng.normal(0, 9, (2, 2, *size)).astype(np.float32)
jpeg = encode_jpeg(rng.integers(0, 255, (*size, 3), dtype=np.uint8))

def write(frames):
    header = Header(
        size=size, method={"name": "x"}, sampling={}, codec=Centred8(), source="x", source_size=size
    )
    with create_stack(path, header) as writer:
        for index in range(0, frames, 2):
            writer.add_frame(index, index / 25, jpeg)
            writer.add_frame(index + 1, index / 25 + 0.02, jpeg)
            writer.add_fields(fields if index else fields[1:])

# writes beyond this size fail with EFBIG, as on a full disk with ENOSPC
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (100, 3000, 30_000, 300_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write(frames=60)
    except StackError as error:
        assert str(error) == f"{path}: cannot write: File too large", error
    else:
        raise AssertionError(limit)
    assert list(path.parent.iterdir()) == [], limit
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write(frames=60)
verify_stack(path)
"""


@unix
def test_a_full_disk_is_one_clear_error_and_leaves_no_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "x.h5"], capture_output=True, text=True
    )
    # not even a complaint of HDF5's about files that it cannot close
    assert (done.returncode, done.stderr) == (0, "")


def test_data_that_a_full_disk_refused_can_be_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk:
        """The part file's file, of which nothing can be written."""

        def __init__(self, file: object) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    part = PartFile(tmp_path / "x.h5")
    part.write(b"0123456789")
    monkeypatch.setattr(part, "_file", FullDisk(part._file))
    part.seek(8)
    part.write(b"abcd")
    part.seek(10)
    part.write(b"XY")
    part.seek(6)
    assert part.read(8) == b"67abXY\0\0"
    with pytest.raises(OSError, match="No space left"):
        part.publish()
    part.discard()
    assert list(tmp_path.iterdir()) == []
