"""Command `flowstream list`: all plug-ins with their parameters."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from collections.abc import Mapping
from typing import Any

import click

from flowstream.cli.options import GroupedCommand, json_option
from flowstream.cli.text import wrap_text
from flowstream.errors import MissingDependencyError

TABLES = {
    "methods": "flowstream.flow:METHODS",
    "codecs": "flowstream.codec:CODECS",
    "compressions": "flowstream.store:COMPRESSIONS",
    "formats": "flowstream.convert:FORMATS",
    "outputs": "flowstream.store:OUTPUTS",
    "augmentations": "flowstream.dataset.augmentations:AUGMENTATIONS",
    "inputs": "flowstream.dataset.inputs:INPUTS",
    "models": "flowstream.models:MODELS",
    "trainers": "flowstream.train:TRAINERS",
    "fusions": "flowstream.fusion:FUSIONS",
}
"""Registry of each kind that can be listed, as `"module:attribute"`."""

MEASURED = {"models": "flowstream.cli.model_facts"}
"""Module with `measure(name)` and `lines(measured)` for each kind that is measured."""

EXAMPLE = """\
flowstream list
flowstream list methods
flowstream list codecs --json"""


@click.command(name="list", cls=GroupedCommand, example=EXAMPLE)
@click.argument("kinds", nargs=-1, type=click.Choice(list(TABLES)), metavar="[KIND]...")
@json_option
def list_command(kinds: tuple[str, ...], as_json: bool) -> None:
    """List flow methods, codecs, models and all other plug-ins with their parameters.

    KIND is methods, codecs, compressions, formats, outputs, augmentations, inputs, models, trainers
    or fusions; the default is all kinds. The parameters are those of --set and of recipes, with
    their defaults. If a method has presets, the values of the default preset are shown, and those
    in which each other preset differs. An entry that needs a package that is not installed is
    marked, with the command that installs the package. If KIND is models, each model is also traced
    for its size and cost, which takes a few seconds.
    """
    listed = {kind: _entries(TABLES[kind]) for kind in kinds or TABLES}
    for kind in kinds:
        _measure(kind, listed[kind])
    if as_json:
        click.echo(json.dumps(listed, indent=2))
        return
    for index, (kind, entries) in enumerate(listed.items()):
        if index:
            click.echo()
        click.echo(kind)
        indent = max(len(entry["name"]) for entry in entries) + 4
        for entry in entries:
            _print_entry(kind, entry, indent=indent)


def _entries(place: str) -> list[dict[str, Any]]:
    module, _, attribute = place.partition(":")
    plugins: Mapping[str, Any] = getattr(importlib.import_module(module), attribute)
    return [_entry(name, plugins) for name in plugins]


def _measure(kind: str, entries: list[dict[str, Any]]) -> None:
    """Add measured facts to the installed plug-ins of a kind that is measured."""
    if kind not in MEASURED:
        return
    measure = importlib.import_module(MEASURED[kind]).measure
    for entry in entries:
        if not entry["missing"]:
            entry["measured"] = measure(entry["name"])


def _entry(name: str, plugins: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first line of a plug-in's docstring and its parameters."""
    entry: dict[str, Any] = {"name": name, "summary": "", "parameters": {}, "missing": None}
    try:
        plugin = plugins[name]
    except MissingDependencyError as error:
        return {**entry, "missing": str(error)}
    summary = (inspect.getdoc(plugin) or "").partition("\n")[0]
    presets = plugin.presets() if hasattr(plugin, "presets") else {}
    entry |= {"summary": summary, "parameters": _parameters(plugin, presets)}
    return {**entry, "presets": presets} if presets else entry


def _parameters(plugin: Any, presets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parameters of a plug-in with their defaults as plain data.

    A parameter without a default of its own has the value of the default preset.
    """
    if not dataclasses.is_dataclass(plugin):
        return {}
    defaults = {field.name: _default(field) for field in dataclasses.fields(plugin) if field.init}
    preset = presets.get(str(defaults.get("preset")), {})
    return {
        field.name: {
            "type": str(field.type),
            "default": preset.get(field.name, defaults[field.name]),
        }
        for field in dataclasses.fields(plugin)
        if field.init
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return list(value)
    return "required" if value is dataclasses.MISSING else str(value)


def _print_entry(kind: str, entry: Mapping[str, Any], *, indent: int) -> None:
    text = entry["missing"] or entry["summary"]
    mark = "not installed: " if entry["missing"] else ""
    click.echo(wrap_text(f"{'  ' + entry['name']:<{indent}}{mark}{text}", indent=indent))
    if "measured" in entry:
        for line in importlib.import_module(MEASURED[kind]).lines(entry["measured"]):
            click.echo(wrap_text(f"{'':{indent}}{line}", indent=indent))
    if entry["parameters"]:
        defaults = {name: parameter["default"] for name, parameter in entry["parameters"].items()}
        _print_values("", defaults, indent=indent)
        for preset, values in entry.get("presets", {}).items():
            if preset != defaults["preset"]:
                other = {key: value for key, value in values.items() if value != defaults[key]}
                _print_values(f"preset={preset}:  ", other, indent=indent)


def _print_values(title: str, values: Mapping[str, Any], *, indent: int) -> None:
    pairs = [f"{name}={_format_default(value)}" for name, value in values.items()]
    click.echo(wrap_text(f"{'':{indent}}{title}{'  '.join(pairs)}", indent=indent))


def _format_default(default: Any) -> str:
    """Format a default as `--set` accepts it."""
    if isinstance(default, list):
        return f"[{','.join(map(str, default))}]"
    return str(default).lower() if default is None or isinstance(default, bool) else str(default)
