"""Settings of a recipe that differ from their defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.errors import FlowstreamError
from flowstream.flow import METHODS, STABILISERS
from flowstream.fusion import FUSIONS
from flowstream.models import MODELS
from flowstream.report.facts import Difference
from flowstream.train import TRAINERS

if TYPE_CHECKING:
    from flowstream.stages.recipe import Recipe

_PARAMETERS: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "options": (("model", MODELS),),
    "trainer_options": (("trainer", TRAINERS),),
    "stabiliser": (("stabilise", STABILISERS),),
    # the flow method and the fusion have the same names of fields
    "parameters": (("method", METHODS), ("method", FUSIONS)),
}
"""Tables of settings, the field that names their plug-in, and the table of plug-ins."""

_NONE = "–"


def list_differences(recipe: Recipe) -> Iterator[Difference]:
    """Yield the settings of a recipe that differ from their defaults.

    Settings that do not change the result, such as directories and the number of workers, are left
    out.
    """
    yield from _compare(recipe.extract, "extract")
    yield from _compare(recipe.split, "split")
    for name, stream in recipe.streams.items():
        yield from _compare(stream, f"streams.{name}")
    yield from _compare(recipe.fusion, "fusion")


def _compare(record: Any, prefix: str) -> Iterator[Difference]:
    for field in dataclasses.fields(record):
        if not field.init or not field.compare:
            continue
        name, value = f"{prefix}.{field.name}", getattr(record, field.name)
        if dataclasses.is_dataclass(value):
            yield from _compare(value, name)
        elif field.name in _PARAMETERS and isinstance(value, Mapping):
            yield from _compare_parameters(record, field.name, prefix=name)
        elif value != _default(field):
            yield Difference(name, _format(value, name), _format(_default(field), name))


def _compare_parameters(record: Any, field: str, *, prefix: str) -> Iterator[Difference]:
    """Yield the parameters of a plug-in that differ from its own defaults."""
    defaults: dict[str, Any] = {}
    for names, table in _PARAMETERS[field]:
        name = getattr(record, names)
        if name in table:
            defaults |= _defaults_of(table, name)
    for key, value in getattr(record, field).items():
        default = defaults.get(key, dataclasses.MISSING)
        if value != default:
            name = f"{prefix}.{key}"
            yield Difference(name, _format(value, key), _format(default, key))


def _defaults_of(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    try:
        return {field.name: _default(field) for field in dataclasses.fields(table[name])}
    except FlowstreamError:  # its package is not installed here
        return {}


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _format(value: Any, name: str) -> str:
    """Write a value as a recipe does."""
    if value is dataclasses.MISSING or value is None:
        return _NONE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        if name.endswith("size") and len(value) == 2:
            return f"{value[1]}x{value[0]}"
        return ", ".join(_format(item, "") for item in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_format(item, key)}" for key, item in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value.name if isinstance(value, Path) and value.is_absolute() else str(value)
