"""Splits: the class of each stack, and its part (training, validation or test)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowstream.dataset.holdout import hold_out
from flowstream.dataset.listing import Entry, Listing, Part, SplitRecipe
from flowstream.dataset.names import VideoNames
from flowstream.errors import SplitError
from flowstream.plugins import Plugins

LAYOUTS: Plugins[Callable[[SplitRecipe, VideoNames], Listing]] = Plugins(
    "split layout",
    {
        "ucf101": "flowstream.dataset.ucf101:read_ucf101",
        "hmdb51": "flowstream.dataset.hmdb51:read_hmdb51",
        "folder": "flowstream.dataset.folder:read_folder",
        "manifest": "flowstream.dataset.manifest:read_manifest",
    },
)
"""Readers of split layouts by name."""

NUMBERED_LAYOUTS = ("ucf101", "hmdb51")
"""Layouts that have several splits, with numbers."""


@dataclass(frozen=True)
class Sample:
    """Video of a split that is on disk.

    `video` is its name as the split lists it, with `/` between directories and no suffix. The name
    is the same for stacks of any method, so scores of several streams can be matched. `label` is an
    index into `Split.classes`; `path` is the path of its stack.
    """

    video: str
    label: int
    group: str
    path: Path


@dataclass(frozen=True)
class Split:
    """Dataset divided into parts.

    `classes` are the classes with a video on disk, in official order. `missing` lists, for each
    part, the videos of the split that are not on disk; missing videos that could be held out for
    validation are in `train`. `heads` has the number of classes of each dataset if a network is
    trained on several datasets at once.
    """

    classes: tuple[str, ...]
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    heads: tuple[int, ...] = ()

    @property
    def untrained(self) -> tuple[str, ...]:
        """Classes without a training video, which no model can learn."""
        seen = {sample.label for sample in self.train}
        return tuple(name for label, name in enumerate(self.classes) if label not in seen)

    @property
    def most_frequent(self) -> float:
        """Share of the test videos that belong to the most frequent class of the test part."""
        counts = Counter(sample.label for sample in self.test)
        return max(counts.values()) / len(self.test)

    def summary(self) -> str:
        """Return the numbers of classes, videos and missing videos in one line."""
        parts = (("train", self.train), ("validation", self.validation), ("test", self.test))
        counts = ", ".join(
            f"{name} {len(samples)}{self._count_missing(name)}" for name, samples in parts
        )
        untrained = f"; no training video of {', '.join(self.untrained)}" if self.untrained else ""
        return f"{len(self.classes)} classes; {counts}{untrained}"

    def _count_missing(self, part: str) -> str:
        missing = len(self.missing.get(part, ()))
        return f" ({missing} listed but missing)" if missing else ""


def read_split(
    recipe: SplitRecipe,
    stacks: Path,
    *,
    suffixes: Collection[str] = (".h5",),
    paths: Mapping[str, Path] | None = None,
) -> Split:
    """Find the videos of a split below a directory, and divide them into parts.

    Parameters
    ----------
    recipe : SplitRecipe
    stacks : Path
        Directory of the stacks. They are matched by name, regardless of the suffix in the list,
        with or without the directory of their class.
    suffixes : collection of str
        Suffixes to search for.
    paths : mapping from name to Path, optional
        Files to use instead of those below `stacks`; see `VideoNames`.

    Returns
    -------
    Split
        Samples in the order of the list.

    Raises
    ------
    SplitError
        If the split files cannot be read, a line does not follow the layout, a video is listed
        twice, two videos match one stack, or no video of the split is found.
    """
    names = VideoNames(Path(stacks), suffixes, paths=paths)
    listing = LAYOUTS[recipe.layout](recipe, names)
    _check_unique(listing.entries)
    found, missing = _look_up(listing, names)
    if not found:
        raise SplitError(_explain_nothing_found(listing, names))
    present = {entry.class_name for entry, _ in found}
    classes = tuple(name for name in listing.classes if name in present)
    labels = {name: label for label, name in enumerate(classes)}
    parts: dict[Part, list[Sample]] = {"train": [], "validation": [], "test": []}
    for entry, path in _divide(found, recipe):
        sample = Sample(entry.video, labels[entry.class_name], entry.group, path)
        parts[entry.part or "train"].append(sample)
    return Split(
        classes,
        train=tuple(parts["train"]),
        validation=tuple(parts["validation"]),
        test=tuple(parts["test"]),
        missing=missing,
    )


def _check_unique(entries: Iterable[Entry]) -> None:
    seen: dict[str, Entry] = {}
    for entry in entries:
        first = seen.setdefault(entry.video.casefold(), entry)
        if first is not entry:
            both = "" if entry.part == first.part else f", in {entry.part} and {first.part}"
            raise SplitError(
                f"{entry.where}: {entry.video} is listed twice{both}; see {first.where}"
            )


def _look_up(
    listing: Listing, names: VideoNames
) -> tuple[list[tuple[Entry, Path]], dict[str, tuple[str, ...]]]:
    """Return the entries on disk with their paths, and the names of the others by part."""
    found: list[tuple[Entry, Path]] = []
    missing: dict[str, list[str]] = {}
    taken: dict[str, Entry] = {}
    for entry in listing.entries:
        name = names.find(entry.video)
        if name is None:
            missing.setdefault(entry.part or "train", []).append(entry.video)
            continue
        other = taken.setdefault(name, entry)
        if other is not entry:
            raise SplitError(
                f"{entry.where}: {entry.video} and {other.video} ({other.where}) "
                f"both match the file {names[name]}; expected one video for each file"
            )
        found.append((entry, names[name]))
    return found, {part: tuple(videos) for part, videos in missing.items()}


def _divide(found: list[tuple[Entry, Path]], recipe: SplitRecipe) -> Iterable[tuple[Entry, Path]]:
    """Assign the missing parts of the entries: first test, then validation."""
    found = _assign_part(found, None, "test", fraction=recipe.test, seed=recipe.seed)
    found = [(replace(e, part="train") if e.part is None else e, path) for e, path in found]
    if any(entry.part == "validation" for entry, _ in found):
        return found
    return _assign_part(found, "train", "validation", fraction=recipe.validation, seed=recipe.seed)


def _assign_part(
    found: list[tuple[Entry, Path]],
    source: Part | None,
    part: Part,
    *,
    fraction: float,
    seed: int,
) -> list[tuple[Entry, Path]]:
    clips = ((entry.group, entry.class_name) for entry, _ in found if entry.part == source)
    groups = hold_out(clips, fraction, seed)
    return [
        (replace(entry, part=part), path)
        if entry.part == source and entry.group in groups
        else (entry, path)
        for entry, path in found
    ]


def _explain_nothing_found(listing: Listing, names: VideoNames) -> str:
    kinds = ", ".join(names.suffixes)
    if not len(names):
        return f"{names.root}: no {kinds} file; extract the videos into it first"
    if not listing.entries:
        return f"{listing.source}: the split lists no video"
    return (
        f"{names.root}: none of the {len(listing.entries)} videos of {listing.source} is among its "
        f"{len(names)} {kinds} files; expected names such as {listing.entries[0].video}, "
        f"got {next(iter(names))}"
    )
