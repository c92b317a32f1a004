"""Complete check of each stack of a collection, and of their common settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

from flowstream.errors import StackError
from flowstream.store.header import Header
from flowstream.store.pack import check_structure, split_member
from flowstream.store.stack import open_stack
from flowstream.store.verify import verify_stack

_SHOWN = 3
"""Number of differing settings that a finding names."""


@dataclass(frozen=True)
class Checked:
    """Result of checking one stack.

    Parameters
    ----------
    path : Path
    problem : str or None
        Reason why the stack is damaged or not a stack.
    header : Header or None
        Header of a good stack.
    outputs : frozenset of str
        Optional outputs of a good stack.
    """

    path: Path
    problem: str | None = None
    header: Header | None = None
    outputs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Finding:
    """Problem of one stack in a collection.

    Parameters
    ----------
    kind : str
        "damaged", "settings", "missing" or "extra".
    path : Path
    problem : str
    """

    kind: str
    path: Path
    problem: str


def check_stacks(paths: Sequence[Path], *, jobs: int) -> Iterator[Checked]:
    """Yield the result of checking each stack completely, in the order of `paths`.

    Parameters
    ----------
    paths : sequence of Path
    jobs : int
        Number of threads; reading, decompressing and hashing run without Python's lock.
    """
    # joblib dispatches a few stacks ahead; an executor would queue all of 300,000 at once
    threads = Parallel(n_jobs=jobs, backend="threading", return_as="generator")
    yield from threads(delayed(_check)(path) for path in paths)


def check_packs(paths: Iterable[Path]) -> list[Finding]:
    """Return a finding for each pack of the stacks whose own metadata is damaged."""
    findings = []
    for pack in dict.fromkeys(found[0] for path in paths if (found := split_member(path))):
        try:
            check_structure(pack)
        except StackError as error:
            findings.append(Finding("damaged", pack, str(error).removeprefix(f"{pack}: ")))
    return findings


def compare_settings(checked: Iterable[Checked]) -> list[Finding]:
    """Return a finding for each valid stack whose settings differ from those of the majority."""
    good = [(item, _settings(item)) for item in checked if item.header is not None]
    if not good:
        return []
    usual, _ = Counter(settings for _, settings in good).most_common(1)[0]
    example = next(item.path for item, settings in good if settings == usual)
    return [
        Finding("settings", item.path, f"{_differences(settings, usual)}, unlike {example}")
        for item, settings in good
        if settings != usual
    ]


def compare_paths(found: Iterable[Path], expected: Iterable[Path]) -> list[Finding]:
    """Return a finding for each expected stack that is missing, and each that is not expected."""
    present = {path.absolute(): path for path in found}
    wanted = {path.absolute(): path for path in expected}
    missing = [
        Finding("missing", path, "no stack of this video; extract it")
        for absolute, path in wanted.items()
        if absolute not in present
    ]
    extra = [
        Finding("extra", path, "no video of this name in the sources")
        for absolute, path in present.items()
        if absolute not in wanted
    ]
    return missing + extra


def _check(path: Path) -> Checked:
    try:
        verify_stack(path)
        with open_stack(path) as stack:
            return Checked(path, header=stack.header, outputs=stack.outputs)
    except StackError as error:
        text = str(error)
        prefix = f"{path.absolute()}: "
        return Checked(path, problem=text.removeprefix(prefix).removeprefix(f"{path}: "))


def _settings(item: Checked) -> tuple[tuple[str, str], ...]:
    """Return all settings of a stack as text to compare."""
    assert item.header is not None
    settings = {
        **item.header.spec.as_dict(),
        "compression": item.header.compression,
        "jpeg_quality": item.header.jpeg_quality,
        # Corrupt frames are a property of the video, not a setting.
        "outputs": sorted(item.outputs - {"corrupt"}),
    }
    return tuple((name, repr(value)) for name, value in sorted(settings.items()))


def _differences(settings: tuple[tuple[str, str], ...], usual: tuple[tuple[str, str], ...]) -> str:
    here, most = dict(settings), dict(usual)
    differing = [name for name in {**here, **most} if here.get(name) != most.get(name)]
    shown = [
        f"{name} is {here.get(name, 'absent')}, mostly {most.get(name, 'absent')}"
        for name in differing[:_SHOWN]
    ]
    more = len(differing) - len(shown)
    return "; ".join(shown) + (f" and {more} more" if more else "")
