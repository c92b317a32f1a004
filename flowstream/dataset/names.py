"""The videos that lie under a folder, found by name whatever their ending."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

from flowstream.errors import SplitError


class VideoNames:
    """The files with one of `suffixes` under `root`, by their relative name without ending.

    Names are compared without regard to case, for UCF101 writes one class in two ways, and some
    file systems do not keep case.

    Parameters
    ----------
    root : Path
    suffixes : collection of str
        `.h5` finds stacks.

    Raises
    ------
    SplitError
        If `root` is no folder.
    """

    def __init__(self, root: Path, suffixes: Collection[str] = (".h5",)) -> None:
        if not root.is_dir():
            raise SplitError(f"{root}: no such folder of videos or stacks")
        self.root = root
        self.suffixes = tuple(suffixes)
        self._paths = dict(sorted(self._walk()))
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for name in self._paths:
            self._by_stem[name.rpartition("/")[2].casefold()].append(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, name: str) -> Path:
        return self._paths[name]

    def find(self, video: str) -> str | None:
        """The name under `root` that is `video`, or None.

        It is the same name; else the one that ends like it, when the one has folders before it that
        the other has not: `a/Class/clip` and `clip` are both found for `Class/clip`.

        Raises
        ------
        SplitError
            If several fit equally well.
        """
        wanted = video.casefold().split("/")
        fits = [
            name
            for name in self._by_stem.get(wanted[-1], ())
            if _ends_alike(name.casefold().split("/"), wanted)
        ]
        for better in (video.__eq__, lambda name: name.casefold() == video.casefold()):
            fits = [name for name in fits if better(name)] or fits
        if len(fits) > 1:
            raise SplitError(f"{self.root}: {video} may be {fits[0]} or {fits[1]}; keep one")
        return fits[0] if fits else None

    def _walk(self) -> Iterator[tuple[str, Path]]:
        seen: set[str] = set()
        for folder, folders, files in os.walk(self.root, followlinks=True):
            real = os.path.realpath(folder)
            # A link back up would be followed for ever.
            folders[:] = sorted(name for name in folders if real not in seen and name[0] != ".")
            files = [] if real in seen else files
            seen.add(real)
            for file in files:
                path = Path(folder, file)
                if path.suffix.lower() in self.suffixes and not file.startswith("."):
                    yield path.relative_to(self.root).with_suffix("").as_posix(), path


def _ends_alike(one: list[str], other: list[str]) -> bool:
    shared = min(len(one), len(other))
    return one[-shared:] == other[-shared:]
