"""Bytes, reading and writing of stacks, by codec and compression, beside a tree of JPEG files.

    python benchmarks/store.py [--video PATH] [--size WxH] [--pairs N] [--clips N]

One thread. Flow is OpenCV's DIS (medium) between the frames of the video, or of a texture that
pans and turns over a still ground if there is none. A clip is ten fields, 20 planes, as the
two-stream networks read it; clips are drawn at random, all pages cached. `read` ends with codes as
stored, `float` with pixels in float32. `write` starts with float32 fields: encoding, checksum,
compression, file. The ratios are to the tree of JPEGs that older tools write and read.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import zstandard

from flowstream.codec import CODECS, Codec
from flowstream.codec.linear8 import Linear8
from flowstream.store import COMPRESSIONS, Header, Stack, create_stack, encode_jpeg, open_stack
from flowstream.types import Images, Size, Vectors

CLIP = 10
HEADER = ("codec", "compression", "B/plane", "read ms", "ratio", "float ms", "write ms", "error px")


@dataclass(frozen=True)
class Row:
    """One line: bytes a plane, milliseconds a clip and a pair, mean error of a component."""

    codec: str
    compression: str
    plane_bytes: float
    read: float
    decode: float
    write: float
    error: float

    def cells(self, peer: Row) -> tuple[str, ...]:
        """The line's texts; `peer` is the tree of JPEGs."""
        return (
            self.codec,
            self.compression,
            f"{self.plane_bytes:,.0f}",
            f"{self.read:.2f}",
            f"{peer.read / self.read:.1f}x",
            f"{self.decode:.2f}",
            f"{self.write:.2f}",
            f"{self.error:.4f}",
        )


def main() -> None:
    options = parse()
    cv2.setNumThreads(1)
    frames = list(islice(video(options.video, options.size), options.pairs + 1))
    if len(frames) <= CLIP:
        raise SystemExit(f"got {len(frames)} frames, expected more than {CLIP}")
    vectors = estimate(frames)
    print(describe_machine())
    rows, columns = options.size
    clipped = np.mean((np.abs(vectors) > 20).any(axis=1))
    print(
        f"{len(vectors)} fields {columns}x{rows} of {options.video or 'a panning texture'}: mean "
        f"{np.abs(vectors).mean():.2f} px, {clipped:.1%} beyond 20 px; raw 8-bit plane "
        f"{rows * columns:,} B\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        starts = np.random.default_rng(0).integers(0, len(vectors) - CLIP + 1, options.clips)
        peer = measure_tree(vectors, Path(folder) / "tree", starts)
        print_line(HEADER)
        print_line(peer.cells(peer))
        for codec in CODECS:
            for compression in COMPRESSIONS:
                path = Path(folder) / f"{codec}-{compression}.h5"
                row = measure_stack(vectors, path, starts, CODECS[codec](), compression)
                print_line(row.cells(peer))
        print()
        measure_rest(frames, vectors, Path(folder) / "rgb.h5", starts)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--video", type=Path, help="a video file; default: a panning texture")
    parser.add_argument("--size", type=size, default=(256, 340), metavar="WxH")
    parser.add_argument("--pairs", type=int, default=60, help="fields to store (default 60)")
    parser.add_argument("--clips", type=int, default=200, help="clips to read (default 200)")
    return parser.parse_args()


def size(text: str) -> Size:
    columns, _, rows = text.partition("x")
    return int(rows), int(columns)


def video(path: Path | None, target: Size) -> Iterator[Images]:
    """Frames, BGR."""
    if path is None:
        yield from moving_texture(target)
        return
    capture = cv2.VideoCapture(str(path))
    while True:
        there, image = capture.read()
        if not there:
            return
        yield cv2.resize(image, target[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8)


def moving_texture(target: Size) -> Iterator[Images]:
    """A disc of texture that pans and turns over a still ground."""
    rng = np.random.default_rng(0)
    ground, figure = (
        cv2.normalize(
            cv2.GaussianBlur(rng.normal(size=(*target, 3)).astype(np.float32), (0, 0), 2.0),
            np.empty((*target, 3), np.float32),
            0,
            255,
            cv2.NORM_MINMAX,
        )
        for _ in range(2)
    )
    rows, columns = target
    y, x = np.mgrid[:rows, :columns]
    disc = np.hypot(y - rows / 2, x - columns / 2) < min(target) / 3
    mask = disc.astype(np.float32)
    for t in range(1_000_000):
        turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), 1.5 * t, 1.0)
        turn[:, 2] += np.sin(t / 15) * columns / 6, np.cos(t / 11) * rows / 6
        alpha = cv2.warpAffine(mask, turn, (columns, rows))[..., None]
        moved = cv2.warpAffine(figure, turn, (columns, rows))
        noise = rng.normal(0, 1.5, ground.shape)
        yield (alpha * moved + (1 - alpha) * ground + noise).clip(0, 255).astype(np.uint8)


def estimate(frames: list[Images]) -> Vectors:
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    luma = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
    nothing: Any = None
    fields = [method.calc(one, next_one, nothing) for one, next_one in pairwise(luma)]
    vectors: Vectors = np.stack(fields).transpose(0, 3, 1, 2).astype(np.float32)
    return vectors


def measure_stack(vectors: Vectors, path: Path, starts: Any, codec: Codec, compression: str) -> Row:
    seconds = best(lambda: write_stack(path, vectors, codec=codec, compression=compression))
    with open_stack(path) as stack:
        flow_bytes = stack.summary()["item_bytes"]["flow"]
        read = clip_time(lambda start: stack.codes(start, CLIP), starts)
        decode = clip_time(lambda start: stack.window(start, CLIP), starts)
        error = mean_error(stack.window(0, stack.num_fields), vectors)
    planes = 2 * len(vectors)
    return Row(
        codec.name,
        compression,
        flow_bytes / planes,
        read,
        decode,
        1e3 * seconds / len(vectors),
        error,
    )


def write_stack(
    path: Path,
    vectors: Vectors,
    *,
    codec: Codec,
    compression: str = "lz4hc",
    images: list[bytes] | None = None,
) -> None:
    header = Header(
        size=vectors.shape[2:],
        method={"name": "dis"},
        sampling={"step": 1},
        codec=codec,
        source="benchmark",
        source_bytes=0,
        fps=25.0,
        source_size=vectors.shape[2:],
        compression=compression,
    )
    with create_stack(path, header, outputs=["rgb"] if images else []) as writer:
        for index in range(len(vectors) + 1):
            writer.add_frame(index, index / 25, images[index] if images else None)
            if index:
                writer.add_fields(vectors[index - 1 : index])


def measure_tree(vectors: Vectors, folder: Path, starts: Any) -> Row:
    """Measure the files of denseflow: a JPEG file, quality 95, for each component and pair."""
    folder.mkdir()
    codec = Linear8()
    names = [[str(folder / f"{axis}_{k:05d}.jpg") for axis in "xy"] for k in range(len(vectors))]

    def write() -> None:
        for field, pair in zip(vectors, names, strict=True):
            for plane, name in zip(codec.encode(field), pair, strict=True):
                cv2.imwrite(name, plane, [cv2.IMWRITE_JPEG_QUALITY, 95])

    def read(start: int, length: int = CLIP) -> Any:
        chosen = [name for pair in names[start : start + length] for name in pair]
        return np.stack([np.asarray(cv2.imread(name, cv2.IMREAD_GRAYSCALE)) for name in chosen])

    seconds = best(write)
    return Row(
        "JPEG tree",
        "q95",
        sum(entry.stat().st_size for entry in folder.iterdir()) / (2 * len(vectors)),
        clip_time(read, starts),
        clip_time(lambda start: codec.decode(read(start)), starts),
        1e3 * seconds / len(vectors),
        mean_error(codec.decode(read(0, len(vectors))), vectors),
    )


def measure_rest(frames: list[Images], vectors: Vectors, path: Path, starts: Any) -> None:
    """Opening a stack, and its images."""
    images = [encode_jpeg(frame[..., ::-1]) for frame in frames]
    encoded = clip_time(lambda t: encode_jpeg(frames[t][..., ::-1]), starts)
    write_stack(path, vectors, codec=CODECS["centred8"](), images=images)

    def reopened(stack: Stack, start: int) -> None:
        with stack:
            stack.codes(start, 1)

    opened = clip_time(lambda start: open_stack(path).close(), starts)
    with open_stack(path) as stack:
        again = clip_time(lambda start: reopened(stack, start), starts)
        image = clip_time(stack.rgb, starts)
    print(
        f"open {opened:.2f} ms; open again, one field {again:.2f} ms; image: "
        f"{np.mean([len(image) for image in images]):,.0f} B, encode {encoded:.2f} ms, "
        f"read {image:.2f} ms"
    )


def clip_time(read: Callable[[int], object], starts: Any) -> float:
    """Milliseconds of a read: the mean over the clips of the best of three."""
    return 1e3 * float(np.mean([best(lambda: read(start)) for start in starts.tolist()]))  # noqa: B023


def best(job: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of the fastest run: what else the machine does only ever adds."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        job()
        times.append(time.perf_counter() - begin)
    return min(times)


def mean_error(planes: Vectors, vectors: Vectors) -> float:
    """Mean absolute error of a component, where no codec clips."""
    truth = vectors.reshape(planes.shape)
    return float(np.abs(planes - truth)[np.abs(truth) <= 20].mean())


def describe_machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (
        f"{models[0] if models else platform.processor() or platform.machine()}, "
        f"{platform.system()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"OpenCV {cv2.__version__}, HDF5 {h5py.version.hdf5_version}, "
        f"zstandard {zstandard.__version__}; one thread"
    )


def print_line(cells: tuple[str, ...]) -> None:
    print("  ".join(f"{cell:<11}" if i < 2 else f"{cell:>9}" for i, cell in enumerate(cells)))


if __name__ == "__main__":
    main()
