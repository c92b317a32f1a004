"""Files of tensors and plain data, read with bounded memory and time, and their digests.

This module checks the checksums and the claimed sizes of a file, because torch does not.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from flowstream.disk import open_regular
from flowstream.errors import CheckpointError

MAX_PICKLE_BYTES = 2**24
"""Limit of the description of a file's content; 300 tensors need about 100 KB."""

MAX_ITEMS = 1_000_000
"""Limit of the number of values; a network has some thousands."""

MAX_DEPTH = 32
"""Limit of the nesting of tables; the state of an optimiser has 5 levels."""

_DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)


def read_content(path: Path) -> dict[Any, Any]:
    """Read a file of `torch.save` that holds a dict of tensors and plain data.

    Nothing in the file is executed. Memory is bounded by the size of the file.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is truncated or corrupted, or holds something else.
    """
    try:
        with open_regular(path) as file:
            _check_zip(path, file)
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about files that are refused anyway
                content = torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path}: cannot read the checkpoint: {reason}") from error
    except Exception as error:  # torch raises many types for corrupted files
        raise CheckpointError(f"{path}: not a checkpoint, or a corrupted one") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a flowstream checkpoint, but torch can read it")
    return content


def compute_digest(content: Any) -> str:
    """Return the digest of tensors and plain data, 32 hexadecimal digits.

    Raises
    ------
    CheckpointError
        If a value is neither plain data nor a plain tensor, or if there are too many values.
    """
    digest = hashlib.blake2b(digest_size=16)
    remaining = [MAX_ITEMS]
    try:
        _feed(digest, content, remaining, depth=0)
    except UnicodeEncodeError as error:
        raise CheckpointError("a string is not valid Unicode") from error
    return digest.hexdigest()


def check_tensor(name: object, value: object) -> Tensor:
    """Return a value if it is a plain tensor whose memory exists; raise otherwise."""
    if not isinstance(value, Tensor):
        raise CheckpointError(f"{name!r} is a {type(value).__name__}, expected a tensor")
    plain = type(value) in (Tensor, torch.nn.Parameter) and value.layout == torch.strided
    if not plain or value.device.type != "cpu" or value.dtype not in _DTYPES:
        raise CheckpointError(
            f"{name!r} is {value.dtype}, {value.layout} on {value.device}, expected a plain tensor"
        )
    # an expanded view claims more values than the file holds
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise CheckpointError(f"{name!r} claims {value.numel()} values, expected what is stored")
    return value


def _check_zip(path: Path, file: IO[bytes]) -> None:
    """Raise `CheckpointError` unless a file is an uncompressed archive of plausible sizes."""
    if not zipfile.is_zipfile(file):
        raise CheckpointError(f"{path}: not a checkpoint, or a truncated one")
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        size = file.seek(0, 2)
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        pickles = [entry.file_size for entry in entries if entry.filename.endswith(".pkl")]
        if not stored or sum(entry.file_size for entry in entries) > size:
            raise CheckpointError(f"{path}: not a checkpoint: its content is larger than the file")
        if max(pickles, default=0) > MAX_PICKLE_BYTES:
            raise CheckpointError(
                f"{path}: not a checkpoint: its description has {max(pickles)} bytes, "
                f"expected at most {MAX_PICKLE_BYTES}"
            )


def _feed(digest: Any, value: Any, remaining: list[int], *, depth: int) -> None:
    """Add a value to a digest, with its type and length, so that the encoding is unique."""
    remaining[0] -= 1
    if remaining[0] < 0 or depth > MAX_DEPTH:
        raise CheckpointError(
            f"more than {MAX_ITEMS} values or {MAX_DEPTH} levels; expected a checkpoint"
        )
    if isinstance(value, Tensor):
        tensor = check_tensor("a tensor", value).detach()
        _feed_bytes(digest, b"t", f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.contiguous().reshape(-1)
        if flat.numel():
            _feed_bytes(digest, b"d", flat.view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        digest.update(b"m" + struct.pack("<q", len(value)))
        for key, item in value.items():
            _feed(digest, key, remaining, depth=depth + 1)
            _feed(digest, item, remaining, depth=depth + 1)
    elif isinstance(value, list | tuple):
        digest.update(b"l" + struct.pack("<q", len(value)))
        for item in value:
            _feed(digest, item, remaining, depth=depth + 1)
    elif isinstance(value, str):
        _feed_bytes(digest, b"s", value.encode())
    elif value is None or isinstance(value, bool | float):
        _feed_bytes(digest, type(value).__name__.encode(), repr(value).encode())
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        digest.update(b"i" + struct.pack("<q", value))
    else:
        kind = type(value).__name__
        raise CheckpointError(f"holds a {kind}, expected tensors, numbers, strings and tables")


def _feed_bytes(digest: Any, kind: bytes, content: bytes | memoryview) -> None:
    digest.update(kind + struct.pack("<q", len(content)))
    digest.update(content)
