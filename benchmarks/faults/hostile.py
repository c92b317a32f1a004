"""Files that claim more than they hold, block, or carry code: each must be refused in one line.

Nothing here is random: every case of `CASES` is tried once.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import resource
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from benchmarks.faults.tally import Budget, Tally

MEMORY = 1 << 30
"""Bytes by which the memory of a reader may grow; importing torch takes a third of it."""

Write = Callable[[Path], object]


class _Bomb:
    """Object whose unpickling makes a directory."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def marker(path: Path) -> Path:
    """Return the directory that exists if code of a file was executed."""
    return path.with_name(f"{path.name[:40]}.executed")


def _text(content: str) -> Write:
    return lambda path: path.write_text(content, encoding="utf-8", errors="surrogateescape")


def _bytes(content: bytes) -> Write:
    return lambda path: path.write_bytes(content)


def _link(target: str) -> Write:
    return lambda path: path.symlink_to(target)


def _socket(path: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(path.parent)  # the address of a socket has at most 107 bytes
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _png(columns: int, rows: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    size = struct.pack(">IIBBBBB", columns, rows, 16, 2, 0, 0, 0)
    data = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _npz(**entries: bytes) -> Write:
    """Return a writer of an archive whose entries have these bytes."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(f"{name}.npy", content)

    return write


def _array_header(shape: str, dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _zip_of_zeros(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("scores.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(_array_header("(150000, 1000)"))
        for _ in range(600):
            entry.write(bytes(1_000_000))


def _pickled_scores(path: Path) -> None:
    array = np.array([_Bomb(marker(path))], dtype=object)
    np.savez(path, scores=array, allow_pickle=True)


def _pickled_checkpoint(path: Path) -> None:
    content = pickle.dumps({"format": "flowstream.checkpoint", "weights": _Bomb(marker(path))})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")


def _plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Bomb(marker(path))))


def _checkpoint_with_nan(path: Path) -> None:
    import torch

    from benchmarks.faults.artefacts import KINDS
    from flowstream.train.checkpoint_file import compute_digest

    KINDS["checkpoint"].write(path)
    content = torch.load(path, weights_only=True)
    next(iter(content["weights"].values())).fill_(float("nan"))
    content.pop("digest")
    torch.save({**content, "digest": compute_digest(content)}, path)


def _images(name: str, content: Write) -> Write:
    """Return a writer of a directory of three images, the second one made by `content`."""

    def write(path: Path) -> None:
        import cv2

        path.mkdir()
        for index in (1, 3):
            cv2.imwrite(str(path / f"{index}.png"), np.full((24, 32), 40 * index, np.uint8))
        content(path / name)

    return write


INFO = ("info",)
EXTRACT = ("extract", "--method", "dis", "--backend", "sequential", "--quiet", "--out", "{out}")
TRAIN = ("train", "--quiet")
FUSE = ("fuse",)
SHOW = ("show",)

CASES: dict[str, tuple[Write, tuple[tuple[str, ...], ...]]] = {
    # name of the file: how it is written, and the verbs that must refuse it
    "playlist.m3u8": (
        _text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:1,\npipe.ts\n#EXT-X-ENDLIST\n"),
        (INFO, EXTRACT),
    ),
    "net.mp4": (_text("#EXTM3U\n#EXTINF:1,\nhttp://10.255.255.1/x.ts\n"), (INFO, EXTRACT)),
    "list.ffconcat": (_text("ffconcat version 1.0\nfile pipe.ts\n"), (INFO, EXTRACT)),
    "session.sdp": (
        _text("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n"),
        (INFO, EXTRACT),
    ),
    "huge.y4m": (
        _text("YUV4MPEG2 W64000 H64000 F25:1 C420jpeg\nFRAME\n"),
        (INFO, EXTRACT),
    ),
    "huge.gif": (_bytes(b"GIF89a\xff\xff\xff\xff\xf0\x00\x00" + bytes(800)), (INFO, EXTRACT)),
    "zeros.mkv": (_bytes(bytes(1 << 20)), (INFO, EXTRACT)),
    "text.mp4": (_text("not a video\n" * 1000), (INFO, EXTRACT)),
    "empty.avi": (_bytes(b""), (INFO, EXTRACT)),
    "pipe.mp4": (os.mkfifo, (INFO, EXTRACT)),
    "socket.mp4": (_socket, (INFO, EXTRACT)),
    "zero.mp4": (_link("/dev/zero"), (INFO, EXTRACT)),
    "self.mp4": (_link("self.mp4"), (INFO,)),
    "images with a pipe": (_images("2.png", os.mkfifo), (EXTRACT,)),
    "images with a device": (_images("2.png", _link("/dev/zero")), (EXTRACT,)),
    "images with a huge one": (_images("2.png", _bytes(_png(65_000, 65_000))), (EXTRACT,)),
    "pipe.h5": (os.mkfifo, (INFO, ("verify",), ("stats",), SHOW)),
    "zero.h5": (_link("/dev/zero"), (INFO, ("verify",), SHOW)),
    "text.h5": (_text("\x89HDF\r\n\x1a\n" * 500), (INFO, ("verify",), ("stats",), SHOW)),
    "huge.flo": (_bytes(b"PIEH" + struct.pack("<ii", 2**31 - 1, 2**31 - 1)), (INFO, SHOW)),
    "negative.flo": (_bytes(b"PIEH" + struct.pack("<ii", -4, -4) + bytes(128)), (INFO, SHOW)),
    "large.flo": (_bytes(b"PIEH" + struct.pack("<ii", 99_999, 99_999)), (INFO, SHOW)),
    "huge.pfm": (_text("PF\n999999999 999999999\n-1\n"), (INFO, SHOW)),
    "digits.pfm": (_text(f"PF\n{'9' * 6000} 4\n-1\n"), (INFO, SHOW)),
    "scale.pfm": (_bytes(b"PF\n2 2\nnan\n" + bytes(48)), (INFO, SHOW)),
    "huge.png": (_bytes(_png(60_000, 60_000)), (SHOW,)),
    "pipe.flo": (os.mkfifo, (INFO, SHOW)),
    "zeros.npz": (_zip_of_zeros, (INFO, FUSE)),
    "claims.npz": (_npz(scores=_array_header("(9999999999, 9999999999)")), (INFO, FUSE)),
    "object.npz": (_npz(scores=_array_header("(1,)", "|O") + bytes(64)), (INFO, FUSE)),
    "pickle.npz": (_pickled_scores, (INFO, FUSE)),
    "code.pt": (_pickled_checkpoint, (INFO,)),
    "plain.pt": (_plain_pickle, (INFO,)),
    "nan.pt": (_checkpoint_with_nan, (INFO,)),
    "pipe.pt": (os.mkfifo, (INFO,)),
    "deep.toml": (_text("a = " + "[" * 100_000), (TRAIN,)),
    "digits.toml": (_text("a = " + "9" * 5000), (TRAIN,)),
    "nul.toml": (_text("out = 'a\0b'"), (TRAIN,)),
    "utf16.toml": (_bytes("out = 'a'".encode("utf-16")), (TRAIN,)),
    "pipe.toml": (os.mkfifo, (TRAIN,)),
    "zero.toml": (_link("/dev/zero"), (TRAIN,)),
    "deep.json": (_text("[" * 100_000), (INFO,)),
    "report.json": (
        _text(json.dumps({"format": "flowstream.report 1", "classes": 7, "streams": []})),
        (INFO,),
    ),
    "quote.csv": (_text('video,label\n"' + "a" * 300_000), (EXTRACT,)),
    "nul.csv": (_text("video,start,end\na\0.mp4,0,1\n"), (EXTRACT,)),
    "numbers.csv": (_text("video,start,end\nself.mp4,nan,inf\n"), (EXTRACT,)),
    "digits.csv": (_text(f"video,start,end\nself.mp4,0,{'9' * 5000}\n"), (EXTRACT,)),
    "device.csv": (_text("video\n/dev/zero\n"), (EXTRACT,)),
    "pipe.csv": (os.mkfifo, (EXTRACT,)),
    "\x1b[31mred\nline.mp4": (_text("no video"), (INFO, EXTRACT)),
    "\u202egpj.mp4": (_text("no video"), (INFO, EXTRACT)),
    "-x.mp4": (_text("no video"), (EXTRACT,)),
    "🎬.mp4": (_text("no video"), (INFO, EXTRACT)),
    "caf\udce9.mp4": (_text("no video"), (INFO, EXTRACT)),
    f"{'n' * 251}.mp4": (_text("no video"), (INFO, EXTRACT)),
}
"""Hostile files by name."""


def commands(path: Path) -> list[list[str]]:
    """Return the command lines that must refuse a file."""
    out = str(path.with_name(f"out of {path.name}"[:60]))
    lines = []
    for verb, *options in CASES[path.name][1]:
        lines.append([verb, *(option.format(out=out) for option in options), "--", str(path)])
    return lines


def call(arguments: list[str]) -> tuple[int, str, int]:
    """Run a command line in this process; return exit code, errors and growth of the memory."""
    from flowstream.cli import main

    code, said = 0, io.StringIO()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return code, said.getvalue(), grown * 1024


def judge(path: Path, answer: tuple[int, str, int]) -> tuple[str, str]:
    """Return the outcome of one command line on one file, and its description."""
    code, said, grown = answer
    if marker(path).exists():
        return "wrong", "code of the file was executed"
    if grown > MEMORY:
        return "crashed", f"needed {grown / 1e9:.1f} GB"
    lines = said.splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    others = [line for line in lines if not line.startswith(("Error: ", "failed: "))]
    shows_controls = not "".join(lines).isprintable()
    if code != 1 or len(errors) != 1 or others or shows_controls:
        return ("crashed" if code else "wrong"), f"exit {code}: {said[-300:]!r}"
    return "detected", said


def run(budget: Budget) -> Tally:
    """Try every case with every verb."""
    from benchmarks.faults.watched import WatchedProcess

    tally = budget.tally("hostile files")
    with WatchedProcess(seconds=60.0) as child:
        for name, (write, _) in CASES.items():
            path = budget.scratch / name
            write(path)
            for arguments in commands(path):
                answer = child.call("benchmarks.faults.hostile:call", arguments)
                outcome = answer.kind, answer.value
                if answer.kind == "value":
                    outcome = judge(path, answer.value)
                tally.add(outcome[0], f"{arguments[0]} {name!a}: {outcome[1]}")
    return tally
