"""The official split files of HMDB51 (Kuehne et al. 2011, doi:10.1109/ICCV.2011.6126543).

`<class>_test_split<n>.txt` names all clips of a class, each `NAME.avi 1` (training), `2` (test) or
`0` (unused); each class has 70 training and 30 test clips. A clip's name is its source film, its
class and tags: `April_09_brush_hair_u_nm_np1_ba_goo_0`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flowstream.dataset.listing import (
    Entry,
    Listing,
    Part,
    SplitRecipe,
    find_directory,
    group_of,
    read_lines,
    split_last,
    video_name,
)
from flowstream.dataset.names import VideoNames
from flowstream.errors import SplitError

_ARCHIVES = ("testTrainMulti_7030_splits", "test_train_splits/testTrainMulti_7030_splits")
_PARTS: dict[str, Part | None] = {"0": None, "1": "train", "2": "test"}


def read_hmdb51(recipe: SplitRecipe, names: VideoNames) -> Listing:
    """Read split number `recipe.split` of the official files."""
    ending = f"_test_split{recipe.split}.txt"
    directory = find_directory(recipe.split_files, f"*{ending}", archives=_ARCHIVES)
    # macOS leaves files that begin with a dot in archives.
    paths = sorted(path for path in directory.glob(f"*{ending}") if path.name[0] != ".")
    classes = tuple(path.name.removesuffix(ending) for path in paths)
    entries = tuple(
        entry
        for class_name, path in zip(classes, paths, strict=True)
        for entry in _read_class(path, class_name, recipe)
    )
    return Listing(classes, entries, source=str(directory))


def _read_class(path: Path, class_name: str, recipe: SplitRecipe) -> Iterator[Entry]:
    for line, text in read_lines(path):
        where = f"{path}:{line}"
        name, flag = split_last(text)
        if not name or flag not in _PARTS:
            raise SplitError(f"{where}: got {text!r}, expected NAME.avi and 0, 1 or 2")
        part = _PARTS[flag]
        if part is None:
            continue
        clip = video_name(name).rpartition("/")[2]
        video = f"{class_name}/{clip}"
        group = group_of(video, recipe, otherwise=source_film(clip, class_name), where=where)
        yield Entry(video, class_name, part, group, where)


def source_film(clip: str, class_name: str) -> str:
    """Return the film that a clip was cut from: its name up to the class.

    The class is searched from the end, because a film may have the name of a class. If the name
    does not contain the class, the whole name is the film. One film can have clips in several
    classes, which are then in one group.
    """
    film, found, _ = clip.casefold().rpartition(f"_{class_name.casefold()}_")
    return clip[: len(film)] if found else clip
