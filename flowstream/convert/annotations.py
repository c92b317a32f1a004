"""Annotation lists of mmaction2 and TSN: one line `DIRECTORY FRAMES LABEL` for each video.

Both tools read the same lines. The number counts images: a list for RGB has the frames, one for
flow has the fields, which are one less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flowstream.disk import whole_file
from flowstream.errors import ConversionError


@dataclass(frozen=True)
class Listed:
    """Directory of raw frames in an annotation list.

    Parameters
    ----------
    name : str
        Path below the directory of all raw frames.
    frames, fields : int
        Number of images, and of flow images of each component.
    """

    name: str
    frames: int
    fields: int

    @property
    def class_name(self) -> str:
        """Name of the directory that contains it."""
        return PurePosixPath(self.name).parent.name


def write_annotations(videos: Iterable[Listed], directory: Path) -> list[Path]:
    """Write `annotations_rgb.txt`, `annotations_flow.txt` and `classes.txt` to a directory.

    Labels number the sorted names of the parent directories, as in `CLASS/VIDEO`.

    Raises
    ------
    ConversionError
        If a name contains white space, which the lists cannot hold, or a file cannot be written.
    """
    videos = list(videos)
    classes = sorted({video.class_name for video in videos})
    for video in videos:
        if len(video.name.split()) != 1:
            raise ConversionError(
                f"{video.name!r}: an annotation list cannot hold a name with white space; rename it"
            )
    labels = {name: label for label, name in enumerate(classes)}
    texts = {
        "annotations_rgb.txt": [f"{v.name} {v.frames} {labels[v.class_name]}" for v in videos],
        "annotations_flow.txt": [f"{v.name} {v.fields} {labels[v.class_name]}" for v in videos],
        "classes.txt": classes,
    }
    paths = []
    for name, lines in texts.items():
        path = directory / name
        try:
            with whole_file(path) as part:
                part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        except OSError as error:
            raise ConversionError(f"{path}: cannot write: {error.strerror}") from error
        paths.append(path)
    return paths
