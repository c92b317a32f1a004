"""The videos or stacks below a directory, found by name regardless of their suffix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from flowstream.disk import walk
from flowstream.errors import SplitError
from flowstream.store.pack import is_pack, read_members


class VideoNames:
    """Files with one of `suffixes` below `root`, by their relative name without suffix.

    Names are compared without regard to case, because UCF101 writes one class in two ways, and some
    file systems do not preserve case.

    Parameters
    ----------
    root : Path
    suffixes : collection of str
        `.h5` finds stacks.
    paths : mapping from name to Path, optional
        Files to use instead of those below `root`, such as stacks that do not exist yet.

    Raises
    ------
    SplitError
        If `root` is neither a directory nor a pack of stacks.
    """

    def __init__(
        self,
        root: Path,
        suffixes: Collection[str] = (".h5",),
        *,
        paths: Mapping[str, Path] | None = None,
    ) -> None:
        if paths is None and is_pack(root):
            paths = {name.removesuffix(".h5"): root / name for name in read_members(root)}
        if paths is None and not root.is_dir():
            raise SplitError(f"{root}: no such directory of videos or stacks")
        self.root = root
        self.suffixes = tuple(suffixes)
        self._paths = dict(sorted(self._walk() if paths is None else paths.items()))
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
        """Return the name below `root` that is `video`, or None.

        The name is equal to `video`, or differs only by leading directories: `a/Class/clip`
        and `clip` are both found for `Class/clip`.

        Raises
        ------
        SplitError
            If several names match equally well.
        """
        wanted = video.casefold().split("/")
        fits = [
            name
            for name in self._by_stem.get(wanted[-1], ())
            if _has_same_end(name.casefold().split("/"), wanted)
        ]
        for better in (video.__eq__, lambda name: name.casefold() == video.casefold()):
            fits = [name for name in fits if better(name)] or fits
        if len(fits) > 1:
            raise SplitError(
                f"{self.root}: {video} matches {fits[0]} and {fits[1]}; keep one of them"
            )
        return fits[0] if fits else None

    def _walk(self) -> Iterator[tuple[str, Path]]:
        for directory, _, files in walk(self.root):
            for path in map(directory.joinpath, files):
                if path.suffix.lower() in self.suffixes:
                    yield path.relative_to(self.root).with_suffix("").as_posix(), path


def _has_same_end(one: list[str], other: list[str]) -> bool:
    shared = min(len(one), len(other))
    return one[-shared:] == other[-shared:]
