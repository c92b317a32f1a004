"""Lazy tables of plug-ins, and the provenance of what was made with one.

A plug-in is one file and one line `name → "module:object"` in a table; nothing is imported before
it is asked for, so that listing the methods never loads torch. Methods, codecs and the like are
frozen dataclasses: `provenance` writes one down as plain data, `rebuild` makes it again.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from flowstream.errors import MissingDependencyError, UnknownNameError, did_you_mean

T = TypeVar("T")


class Plugins(Mapping[str, T], Generic[T]):
    """A read-only mapping from a name to a class or function, imported when first asked for.

    Parameters
    ----------
    kind : str
        What the table holds, for messages: `flow method`, `codec`.
    table : mapping from name to "module:object"
    extras : mapping from the top-level name of a package to the extra of flowstream that brings it
    """

    def __init__(
        self, kind: str, table: Mapping[str, str], *, extras: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self._table = dict(table)
        self._extras = dict(extras or {})

    def __getitem__(self, name: str) -> T:
        if name not in self._table:
            known = ", ".join(self._table)
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
    """A package's `__getattr__` (PEP 562) that imports a name from its module when first asked for.

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
    """The name and parameters of a frozen dataclass, as plain data that JSON can hold.

    Fields declared with `compare=False` say how to compute (device, threads, batch), not what:
    they change no result and are left out.
    """
    parameters = {
        field.name: _plain(getattr(plugin, field.name))
        for field in dataclasses.fields(plugin)
        if field.compare
    }
    name = getattr(plugin, "name", None)
    return parameters if name is None else {"name": name, **parameters}


def rebuild(table: Mapping[str, type[T]], record: Mapping[str, Any]) -> T:
    """Make a plug-in again from its `provenance`."""
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
