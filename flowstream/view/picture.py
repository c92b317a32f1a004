"""Picture files, written completely or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from flowstream.disk import whole_file
from flowstream.errors import FlowFileError
from flowstream.types import Images

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Kinds of picture by their suffix."""


def encode_picture(picture: Images, kind: str, *, quality: int = 90) -> bytes:
    """Return an RGB picture as the bytes of a PNG, JPEG or WebP file."""
    target = BytesIO()
    Image.fromarray(picture).save(target, format=kind, quality=quality)
    return target.getvalue()


def write_picture(path: str | Path, picture: Images) -> None:
    """Write an RGB picture; the suffix decides the kind.

    Raises
    ------
    FlowFileError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        encoded = encode_picture(picture, PICTURES[path.suffix.lower()])
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_bytes(encoded)
    except OSError as error:
        problem = error.strerror or error
        raise FlowFileError(f"{path}: cannot write the picture: {problem}") from error
