"""TOML files and `key=value` settings into checked, frozen dataclasses.

A recipe is a documented dataclass; this module builds any of them. Unknown keys are refused with
the nearest known name, values of a wrong type with the type that was expected, and each message
names the place: `demo.toml: temporal.lenght: unknown key; ...`.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from flowstream.errors import ParameterError, RecipeError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")

_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def load_recipe(path: str | Path, recipe: type[T], *, settings: Iterable[str] = ()) -> T:
    """Read a TOML file into the dataclass `recipe`.

    Parameters
    ----------
    path : path of the TOML file
    recipe : the dataclass
    settings : texts `table.key=value`
        Override what the file says; a value is read as TOML, or as a text where it is none.

    Raises
    ------
    RecipeError
        If the file cannot be read, is not TOML, or does not describe a `recipe`.
    """
    values = read_toml(path)
    apply_settings(values, settings, where=str(path))
    return build(recipe, values, where=str(path))


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file as plain data."""
    try:
        values: dict[str, Any] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return values
    except OSError as error:
        raise RecipeError(f"{path}: cannot read the recipe: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not a recipe: not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error


def build(recipe: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Make the dataclass `recipe` from plain data, checking every key and type.

    `where` opens each message. Lists become tuples, texts become paths, nested tables become nested
    dataclasses; a check in `__post_init__` may raise `ParameterError`, which gets `where` too.
    """
    hints = get_type_hints(recipe)
    fields = {field.name: field for field in dataclasses.fields(recipe) if field.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            known = ", ".join(fields) or "none"
            raise RecipeError(
                f"{where}: {key}: unknown key; known: {known}.{did_you_mean(key, fields)}"
            )
    built = {key: _convert(value, hints[key], f"{where}: {key}") for key, value in values.items()}
    missing = [
        name
        for name, field in fields.items()
        if name not in built
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise RecipeError(f"{where}: missing {', '.join(missing)}")
    try:
        return recipe(**built)
    except ParameterError as error:
        raise RecipeError(f"{where}: {error}") from error


def from_settings(recipe: type[T], settings: Iterable[str], *, where: str) -> T:
    """Make the dataclass `recipe` from `key=value` strings, as `--set` takes them.

    Raises
    ------
    RecipeError
        If a string is no setting, a key is set twice or unknown, or a value does not fit.
    """
    return build(recipe, read_settings(settings, where=where), where=where)


def read_settings(settings: Iterable[str], *, where: str) -> dict[str, Any]:
    """Read `key=value` strings into nested tables.

    This is the one grammar of `--set`: an entry of a table is `table.key=value`; the value is read
    as TOML, and is a string where it is no TOML.

    Raises
    ------
    RecipeError
        If a string has no `=`, or a key is set twice.
    """
    values: dict[str, Any] = {}
    seen: set[str] = set()
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key in seen:
            raise RecipeError(f"{where}: {key}: set twice")
        seen.add(key)
        _override(values, setting, where=where)
    return values


def apply_settings(values: dict[str, Any], settings: Iterable[str], *, where: str) -> None:
    """Override entries of nested tables, in place, by `table.key=value` strings.

    Raises
    ------
    RecipeError
        If a string is not a setting, or names an entry of what is not a table.
    """
    for setting in settings:
        _override(values, setting, where=where)


def _override(values: dict[str, Any], setting: str, *, where: str) -> None:
    key, equals, text = setting.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise RecipeError(f"{where}: {setting!r} is not a setting; write key=value")
    table = values
    for name in names[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise RecipeError(f"{where}: {setting!r}: {name} is not a table")
    try:
        table[names[-1]] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[names[-1]] = text


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(value, get_args(hint), where)
    if origin is Literal:
        if value not in get_args(hint):
            known = ", ".join(map(str, get_args(hint)))
            raise RecipeError(
                f"{where}: got {value!r}, expected one of: {known}."
                f"{did_you_mean(str(value), map(str, get_args(hint)))}"
            )
        return value
    if dataclasses.is_dataclass(hint):
        if dataclasses.is_dataclass(value):
            return value
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: got {value!r}, expected a table")
        return build(typing.cast(type, hint), value, where=where)
    if origin is tuple:
        return _convert_tuple(value, get_args(hint), where)
    if _is_mapping(origin) or _is_mapping(hint):
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: got {value!r}, expected a table")
        item = get_args(hint)[1] if get_args(hint) else Any
        return {key: _convert(entry, item, f"{where}.{key}") for key, entry in value.items()}
    return _convert_scalar(value, hint, where)


def _is_mapping(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Mapping)


def _convert_scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is type(None) and value is None:
        return None
    # bool is an int to Python, not to a reader of recipes
    mistaken = isinstance(value, bool) and hint is not bool
    if isinstance(hint, type) and isinstance(value, hint) and not mistaken:
        return value
    expected = _NAMES.get(hint, "a path" if hint is Path else getattr(hint, "__name__", str(hint)))
    raise RecipeError(f"{where}: got {value!r}, expected {expected}")


def _convert_union(value: Any, options: tuple[Any, ...], where: str) -> Any:
    # TOML has no null; where a string is not allowed, "none" can only mean it
    if value == "none" and type(None) in options and str not in options:
        return None
    message = ""
    for option in options:
        try:
            return _convert(value, option, where)
        except RecipeError as error:
            if option is not type(None):
                message = message or str(error)
    raise RecipeError(message)


def _convert_tuple(value: Any, items: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if items == (int, int) and isinstance(value, str):
        return _parse_size(value, where)
    if not isinstance(value, list | tuple):
        raise RecipeError(f"{where}: got {value!r}, expected a list")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_convert(item, items[0], f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(items):
        raise RecipeError(f"{where}: got {len(value)} values, expected {len(items)}")
    return tuple(
        _convert(item, hint, f"{where}[{i}]")
        for i, (item, hint) in enumerate(zip(value, items, strict=True))
    )


def _parse_size(text: str, where: str) -> tuple[int, int]:
    """Return (rows, columns) of a size that is written `WxH`, as people write it."""
    width, _, height = text.strip().lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise RecipeError(f"{where}: got {text!r}, expected WIDTHxHEIGHT, such as '340x256'")
    return int(height), int(width)
