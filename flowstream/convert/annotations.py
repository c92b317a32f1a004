"""Annotation lists of mmaction2 and TSN: one line `DIRECTORY IMAGES LABEL` for each video.

Both tools read the same lines. The number counts images: a list for RGB has the frames, one for
flow has the fields, which are one less.

The lists cover all videos of a directory, also those of earlier conversions: existing lists are
read and extended, so that labels do not change.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flowstream.convert.image_names import has_both_components, match_name
from flowstream.disk import whole_file
from flowstream.errors import ConversionError

_RGB, _FLOW, _CLASSES = "annotations_rgb.txt", "annotations_flow.txt", "classes.txt"


@dataclass(frozen=True)
class Listed:
    """Directory of raw frames in an annotation list.

    Parameters
    ----------
    name : str
        Path below the directory of all raw frames, with `/`.
    class_name : str
    frames, fields : int
        Number of images, which may be 0, and of flow images of each component.
    """

    name: str
    class_name: str
    frames: int
    fields: int


def check_lists(classes: Mapping[str, str], directory: Path) -> None:
    """Raise `ConversionError` if lists cannot hold the videos, or contradict existing lists.

    Parameters
    ----------
    classes : name of the class by name of the video
    directory : Path
        Directory of all raw frames, which may have lists.
    """
    for name in classes:
        if len(name.split()) != 1:
            raise ConversionError(
                f"{name!r}: the name has white space, which annotation lists cannot hold; use "
                "--set underscores=true, or --set lists=false for no lists"
            )
    _, listed = _read_lists(directory)
    for name, class_name in classes.items():
        known = listed[name].class_name if name in listed else ""
        if known and known != class_name:
            raise ConversionError(
                f"{directory / name}: is listed with class {known!r}, and now has class "
                f"{class_name!r}; name another --out for other videos of the same names"
            )


def write_annotations(videos: Iterable[Listed], directory: Path) -> list[Path]:
    """Write `annotations_rgb.txt`, `annotations_flow.txt` and `classes.txt` to a directory.

    Labels number the lines of `classes.txt`. Existing lines keep their order; new classes follow,
    sorted. Videos whose directories do not exist any more are removed from the lists. The list for
    RGB has the videos with images only, and is not written if there are none.

    Raises
    ------
    ConversionError
        If existing lists are invalid, or a file cannot be written.
    """
    classes, known = _read_lists(directory)
    listed = {name: video for name, video in known.items() if (directory / name).is_dir()}
    listed |= {video.name: video for video in videos}
    listed |= {video.name: video for video in _find_others(directory, set(listed))}
    classes += sorted({video.class_name for video in listed.values()} - set(classes))
    labels = {name: label for label, name in enumerate(classes)}
    ordered = [listed[name] for name in sorted(listed)]
    texts = {
        _RGB: [f"{v.name} {v.frames} {labels[v.class_name]}" for v in ordered if v.frames],
        _FLOW: [f"{v.name} {v.fields} {labels[v.class_name]}" for v in ordered],
        _CLASSES: classes,
    }
    if not texts[_RGB] and not (directory / _RGB).exists():
        del texts[_RGB]
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


def _read_lists(directory: Path) -> tuple[list[str], dict[str, Listed]]:
    """Return the classes by label, and the videos by name, of existing lists."""
    classes = list(_read_lines(directory / _CLASSES))
    if not classes:
        return [], {}
    frames = _read_list(directory / _RGB, classes)
    fields = _read_list(directory / _FLOW, classes)
    return classes, {
        name: Listed(name, class_name, frames.get(name, (0, ""))[0], count)
        for name, (count, class_name) in fields.items()
    }


def _read_list(path: Path, classes: list[str]) -> dict[str, tuple[int, str]]:
    """Return the number of images and the class of each video in a list."""
    found = {}
    for number, line in enumerate(_read_lines(path), start=1):
        try:
            name, count, label = line.split()
            if int(label) < 0:
                raise ValueError
            found[name] = int(count), classes[int(label)]
        except (ValueError, IndexError) as error:
            raise ConversionError(
                f"{path}: line {number}: expected DIRECTORY IMAGES LABEL with a label from 0 to "
                f"{len(classes) - 1}; correct it, or remove it to have it written from the tree"
            ) from error
    return found


def _read_lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"{path}: cannot read the list: {error}") from error


def _find_others(directory: Path, known: set[str]) -> Iterator[Listed]:
    """Yield the videos of earlier conversions that were stopped before the lists were written."""
    for place, inside, files in os.walk(directory):
        above = Path(place).relative_to(directory)
        # known directories are not searched, because they hold most of the files
        inside[:] = sorted(
            name
            for name in inside
            if not name.endswith(".part") and (above / name).as_posix() not in known
        )
        name = above.as_posix()
        kinds = [match[1].lower()[-1] for file in files if (match := match_name(file))]
        if has_both_components(files) and above.parts and len(name.split()) == 1:
            class_name = PurePosixPath(name).parent.name or Path(os.path.abspath(directory)).name
            frames = len(kinds) - kinds.count("x") - kinds.count("y")
            yield Listed(name, class_name, frames, kinds.count("x"))
