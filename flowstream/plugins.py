"""Lazy tables of plug-ins, and their provenance as plain data.

A plug-in is one file and one line `name → "module:object"` in a table. It is imported on first
use, so that listing the methods never loads torch. Methods and codecs are frozen dataclasses:
`provenance` converts one to plain data, `rebuild` converts it back.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from flowstream.errors import MissingDependencyError, UnknownNameError, did_you_mean

T = TypeVar("T")

MAX_LISTED = 20
"""Number of names that a message lists."""


class Plugins(Mapping[str, T], Generic[T]):
    """Read-only mapping from a name to a class or function that is imported on first use.

    Parameters
    ----------
    kind : str
        Singular noun for messages, such as `flow method` or `codec`.
    table : mapping from name to "module:object"
    extras : mapping from a top-level package to the extra of flowstream that installs it
    """

    def __init__(
        self, kind: str, table: Mapping[str, str], *, extras: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self._table = dict(table)
        self._extras = dict(extras or {})

    def __getitem__(self, name: str) -> T:
        if name not in self._table:
            known = ", ".join([*self._table][:MAX_LISTED])
            if len(self) > MAX_LISTED:
                known += f" and {len(self) - MAX_LISTED} more"
            hint = did_you_mean(str(name), self._table)
            raise UnknownNameError(f"unknown {self.kind} {name!r}; known: {known}.{hint}")
        module, _, attribute = self._table[name].partition(":")
        try:
            plugin: T = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package == "flowstream":
                raise
            raise MissingDependencyError(self._missing(name, package)) from error
        return plugin

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __repr__(self) -> str:
        return f"<table of {len(self)} {self.kind}s: {', '.join(self)}>"

    def _missing(self, name: str, package: str) -> str:
        extra = self._extras.get(package)
        wanted = f"'flowstream[{extra}]'" if extra else package
        return f"{self.kind} {name!r} needs {package!r}; install it with: pip install {wanted}"


def lazy_attributes(module: str, table: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's `__getattr__` (PEP 562) that imports each name on first use.

    Parameters
    ----------
    module : str
        `__name__` of the package.
    table : mapping from name to module
    """

    def attribute(name: str) -> Any:
        if name not in table:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(importlib.import_module(table[name]), name)

    return attribute


def provenance(plugin: Any) -> dict[str, Any]:
    """Return the name and parameters of a frozen dataclass as plain data for JSON.

    Fields declared with `compare=False` (device, threads, batch) change no result and are omitted.
    """
    parameters = {
        field.name: _plain(getattr(plugin, field.name))
        for field in dataclasses.fields(plugin)
        if field.compare
    }
    name = getattr(plugin, "name", None)
    return parameters if name is None else {"name": name, **parameters}


def rebuild(table: Mapping[str, type[T]], record: Mapping[str, Any]) -> T:
    """Build a plug-in from its `provenance`."""
    parameters = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in record.items()
        if key != "name"
    }
    return table[record["name"]](**parameters)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return provenance(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
