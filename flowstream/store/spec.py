"""Flow spec: method, sampling, size and codec of a model's flow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowstream.errors import ParameterError
from flowstream.types import Size

_TABLES = ("method", "sampling", "codec")


@dataclass(frozen=True)
class FlowSpec:
    """Method, sampling, size and codec of a stack as plain data.

    Equal specs mean equal flow.

    Flow from which the motion of the camera was removed is different flow, so the stabiliser is
    part of the spec. Backward flow and consistency are not part of it, because they do not change
    the forward flow; code that needs them checks whether the stack has them.

    Parameters
    ----------
    method, sampling, codec : mapping
        As `flowstream.plugins.provenance` returns them.
    size : (rows, columns)
        Size of a field.
    stabiliser : mapping or None
        Stabiliser that removed the motion of the camera; None if it was not removed.
    """

    method: Mapping[str, Any]
    sampling: Mapping[str, Any]
    size: Size
    codec: Mapping[str, Any]
    stabiliser: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        # Converted through JSON, so that a spec equals itself after it was written and read.
        for name, table in self._tables().items():
            object.__setattr__(self, name, json.loads(json.dumps(dict(table))))
        rows, columns = self.size
        object.__setattr__(self, "size", (int(rows), int(columns)))

    def list_differences(
        self, other: FlowSpec, *, names: tuple[str, str] = ("this", "other")
    ) -> list[str]:
        """List the differences, such as `method.name: stored: 'dis', requested: 'tvl1'`.

        Parameters
        ----------
        other : FlowSpec
        names : pair of str
            Words for this spec and for `other` in the result.

        Returns
        -------
        list of str
            One string for each setting that differs; empty if the specs are equal.
        """
        if self == other:
            return []
        own, others = dict(_leaves(self.as_dict())), dict(_leaves(other.as_dict()))
        # Two methods, or a table that one spec lacks, are one difference; their parameters are not.
        replaced = tuple(
            f"{table}."
            for table in (*_TABLES, "stabiliser")
            if own.get(f"{table}.name") != others.get(f"{table}.name")
        )
        return [
            f"{key}: {names[0]}: {_format_leaf(own, key)}, {names[1]}: {_format_leaf(others, key)}"
            for key in {**own, **others}
            if (key not in own or key not in others or own[key] != others[key])
            and (key.endswith(".name") or not key.startswith(replaced))
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the spec as plain data for JSON and checkpoints; see `from_dict`."""
        tables = {name: dict(table) for name, table in self._tables().items()}
        return {**tables, "size": list(self.size)}

    def _tables(self) -> dict[str, Mapping[str, Any]]:
        tables = {name: getattr(self, name) for name in _TABLES}
        return tables if self.stabiliser is None else {**tables, "stabiliser": self.stabiliser}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> FlowSpec:
        """Make a spec from the data that `as_dict` returned.

        Raises
        ------
        ParameterError
            If `record` is not the data of a spec.
        """
        try:
            return cls(**record)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"not a flow spec: {error}") from error


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _leaves(item, f"{prefix}{key}.")
        else:
            yield prefix + key, item


def _format_leaf(leaves: Mapping[str, Any], key: str) -> str:
    return repr(leaves[key]) if key in leaves else "absent"
