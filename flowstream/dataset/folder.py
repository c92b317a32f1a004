"""Directory trees as datasets: `class/video`, or `train/class/video` and so on."""

from __future__ import annotations

from flowstream.dataset.listing import Entry, Listing, Part, SplitRecipe, group_of
from flowstream.dataset.names import VideoNames
from flowstream.errors import SplitError

PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
    "testing": "test",
}
"""Accepted names of a part, in a tree and in a manifest."""


def read_folder(recipe: SplitRecipe, names: VideoNames) -> Listing:
    """Read the classes and parts from the tree of `names.root`.

    The directories in `names.root` are the classes, in sorted order. If they are called train,
    validation and test, the classes are one level below. Directories below a class are part of the
    names of its videos.

    Raises
    ------
    SplitError
        If a video is not in the directory of a class, or one level has both parts and classes.
    """
    tops = {name.partition("/")[0] for name in names if "/" in name}
    strange = sorted(top for top in tops if top.casefold() not in PARTS)
    by_part = not strange
    if strange and any(PARTS.get(top.casefold()) == "train" for top in tops):
        raise SplitError(
            f"{names.root}: directory {strange[0]!r} beside a directory train; "
            "expected either classes, or only train, validation and test"
        )
    entries = tuple(_entry(name, names, recipe, by_part=by_part) for name in names)
    classes = tuple(sorted({entry.class_name for entry in entries}))
    return Listing(classes, entries, source=str(names.root))


def _entry(name: str, names: VideoNames, recipe: SplitRecipe, *, by_part: bool) -> Entry:
    where = str(names.root / name)
    top, _, rest = name.partition("/")
    part = PARTS[top.casefold()] if by_part and rest else None
    inside = rest if by_part else name
    class_name, _, video = inside.partition("/")
    if not video:
        place = "PART/CLASS/VIDEO" if by_part else "CLASS/VIDEO"
        raise SplitError(f"{where}: not in the directory of a class; expected {names.root}/{place}")
    group = group_of(inside, recipe, otherwise=name, where=where)
    return Entry(name, class_name, part, group, where)
