"""The official split files of UCF101 (Soomro, Zamir & Shah 2012, arXiv:1212.0402).

`classInd.txt` numbers the classes, `1 ApplyEyeMakeup`; `trainlistNN.txt` names the training clips
with that number, `ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`; `testlistNN.txt` the test clips
without it. Clips gNN of one class were cut from one source video.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from flowstream.dataset.listing import (
    Entry,
    Listing,
    SplitRecipe,
    find_directory,
    group_of,
    read_lines,
    split_last,
    video_name,
)
from flowstream.dataset.names import VideoNames
from flowstream.errors import SplitError, did_you_mean


def read_ucf101(recipe: SplitRecipe, names: VideoNames) -> Listing:
    """Read split number `recipe.split` of the official files."""
    directory = find_directory(recipe.split_files, "classInd.txt", archives=("ucfTrainTestlist",))
    classes = read_classes(directory / "classInd.txt")
    parts: tuple[tuple[Literal["train", "test"], Path], ...] = (
        ("train", directory / f"trainlist{recipe.split:02d}.txt"),
        ("test", directory / f"testlist{recipe.split:02d}.txt"),
    )
    for _, path in parts:
        if not path.is_file():
            found = ", ".join(file.name for file in sorted(directory.glob("*list*.txt"))) or "none"
            raise SplitError(f"{path}: no such split file; found: {found}")
    entries = tuple(
        entry for part, path in parts for entry in _read_list(path, part, classes, recipe=recipe)
    )
    ordered = tuple(classes[number] for number in sorted(classes))
    return Listing(ordered, entries, source=str(directory))


def read_classes(path: Path) -> dict[int, str]:
    """Return the classes by their number.

    Raises
    ------
    SplitError
        If a line is not `NUMBER NAME`, or a number or name occurs twice.
    """
    classes: dict[int, str] = {}
    names: set[str] = set()
    for line, text in read_lines(path):
        number, name = split_last(text)
        if not number.isdecimal() or len(number) > 9:
            raise SplitError(f"{path}:{line}: got {text!r:.100}, expected NUMBER CLASS")
        if int(number) in classes or name in names:
            raise SplitError(
                f"{path}:{line}: got {text!r:.100}, expected each number and name once"
            )
        classes[int(number)] = name
        names.add(name)
    return classes


def _read_list(
    path: Path, part: Literal["train", "test"], classes: dict[int, str], *, recipe: SplitRecipe
) -> Iterator[Entry]:
    # The directory is HandstandPushups and its videos v_HandStandPushups_*: ignore case.
    by_name = {name.casefold(): name for name in classes.values()}
    for line, text in read_lines(path):
        where = f"{path}:{line}"
        before, last = split_last(text)
        numbered = before and last.isdecimal() and len(last) <= 9
        name, number = (before, int(last)) if numbered else (text, None)
        directory, clip = ["", *video_name(name).split("/")][-2:]
        if not directory:
            raise SplitError(f"{where}: got {text!r:.100}, expected CLASS/CLIP.avi")
        if directory.casefold() not in by_name:
            hint = did_you_mean(directory, classes.values())
            raise SplitError(f"{where}: class {directory!r:.100} is not in classInd.txt.{hint}")
        class_name = by_name[directory.casefold()]
        if number is not None and classes.get(number) != class_name:
            raise SplitError(
                f"{where}: {name} has number {number}, which is "
                f"{classes.get(number, 'no class')} in classInd.txt"
            )
        video = f"{directory}/{clip}"
        source = re.search(r"_(g\d+)(?:_c\d+)?$", clip)
        if source is None and recipe.group is None:
            raise SplitError(f"{where}: got {clip!r}, expected a clip named v_CLASS_gNN_cNN")
        otherwise = f"{class_name}/{source.group(1)}" if source else video
        group = group_of(video, recipe, otherwise=otherwise, where=where)
        yield Entry(video, class_name, part, group, where)
