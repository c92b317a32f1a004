"""What flow a model saw: the part of a stack's provenance that a checkpoint is bound to."""

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
    """Method, sampling, size and codec of a stack, as plain data; equal means the same flow.

    Flow without the camera's motion is other flow. Whether a stack also holds backward flow or
    consistency is no part of it: they leave the forward flow as it is, and whoever needs them finds
    out whether they are there.

    Parameters
    ----------
    method, sampling, codec : mapping
        As `flowstream.plugins.provenance` gives them.
    size : (rows, columns)
    stabiliser : mapping or None
        How the camera's motion was taken out; None: it was not.
    """

    method: Mapping[str, Any]
    sampling: Mapping[str, Any]
    size: Size
    codec: Mapping[str, Any]
    stabiliser: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        # through JSON: a spec out of a file equals the one that was written there
        for name, table in self._tables().items():
            object.__setattr__(self, name, json.loads(json.dumps(dict(table))))
        rows, columns = self.size
        object.__setattr__(self, "size", (int(rows), int(columns)))

    def differences(self, other: FlowSpec) -> list[str]:
        """What differs, a text each: `method.name: 'dis' here, 'tvl1' there`; empty if equal."""
        here, there = dict(_leaves(self.as_dict())), dict(_leaves(other.as_dict()))
        one_sided = (self.stabiliser is None) != (other.stabiliser is None)
        return [
            f"{key}: {_seen(here, key)} here, {_seen(there, key)} there"
            for key in {**here, **there}
            if (key not in here or key not in there or here[key] != there[key])
            # a table that one side lacks is one difference, not one for each parameter
            and not (one_sided and key.startswith("stabiliser.") and key != "stabiliser.name")
        ]

    def as_dict(self) -> dict[str, Any]:
        """The spec as plain data that JSON and checkpoints can hold; see `from_dict`."""
        tables = {name: dict(table) for name, table in self._tables().items()}
        return {**tables, "size": list(self.size)}

    def _tables(self) -> dict[str, Mapping[str, Any]]:
        tables = {name: getattr(self, name) for name in _TABLES}
        return tables if self.stabiliser is None else {**tables, "stabiliser": self.stabiliser}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> FlowSpec:
        """Make a spec again from `as_dict`.

        Raises
        ------
        ParameterError
            If `record` is not such data.
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


def _seen(leaves: Mapping[str, Any], key: str) -> str:
    return repr(leaves[key]) if key in leaves else "absent"
