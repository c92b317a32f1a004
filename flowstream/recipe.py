"""TOML files and `key=value` settings into checked, frozen dataclasses.

A recipe is a documented dataclass; this module builds any of them. Unknown keys are refused with
the nearest known name, values of a wrong type with the type that was expected, and each message
names the place: `demo.toml: temporal.lenght: unknown key; ...`.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from flowstream.disk import read_small
from flowstream.errors import ParameterError, RecipeError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")

MAX_BYTES = 2**20
"""Limit of the size of a recipe; the longest shipped one has 3 KB."""

MAX_LEVELS = 32
"""Limit of the nesting of tables and lists; shipped recipes have 4 levels."""

_MANY_DOTS = re.compile(rf"(?:[\w\"'-]+[ \t]*\.[ \t]*){{{MAX_LEVELS},}}")

_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def load_recipe(path: str | Path, recipe: type[T], *, settings: Iterable[str] = ()) -> T:
    """Read a TOML file into the dataclass `recipe`.

    Parameters
    ----------
    path : path of the TOML file
    recipe : the dataclass
    settings : strings `table.key=value`
        Override values of the file. A value is parsed as TOML; if it is not TOML, it is a string.

    Raises
    ------
    RecipeError
        If the file cannot be read, is not TOML, or does not describe a `recipe`.
    """
    values = read_toml(path)
    apply_settings(values, settings, where=str(path))
    return build(recipe, values, where=str(path))


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read the tables of a TOML file as plain data; time and memory are bounded."""
    try:
        text = read_small(Path(path), limit=MAX_BYTES).decode("utf-8")
        return _parse_toml(text)
    except OSError as error:
        raise RecipeError(f"{path}: cannot read the recipe: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not a recipe: not UTF-8 text") from error
    except ValueError as error:
        raise RecipeError(f"{path}: not TOML: {error!s:.200}") from error


def _parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML; raise `ValueError` if it is not valid or nested too deeply.

    tomllib recurses for each bracket, needs quadratic time for dotted keys, and passes on the
    errors of Python for integers of more than 4,300 digits.
    """
    if _MANY_DOTS.search(text):
        raise ValueError(f"a key has more than {MAX_LEVELS} levels")
    try:
        values: dict[str, Any] = tomllib.loads(text)
        _check_levels(values)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return values


def _check_levels(value: Any, level: int = 0) -> None:
    """Raise `ValueError` if data are nested too deeply or a string holds a NUL character."""
    if level > MAX_LEVELS:
        raise ValueError(f"nested more than {MAX_LEVELS} levels deep")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a string holds a NUL character")
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        _check_levels(item, level + 1)


def build(recipe: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Make the dataclass `recipe` from plain data, checking every key and type.

    Each message starts with `where`. Lists become tuples, strings become paths, and nested tables
    become nested dataclasses. A `ParameterError` of `__post_init__` becomes a `RecipeError`.
    """
    hints = get_type_hints(recipe)
    fields = {field.name: field for field in dataclasses.fields(recipe) if field.init}  # type: ignore[arg-type]
    for key in values:
        if not isinstance(key, str) or key not in fields:
            name, known = str(key)[:60], ", ".join(fields) or "none"
            raise RecipeError(
                f"{where}: {name}: unknown key; known: {known}.{did_you_mean(name, fields)}"
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
        If a string is not a setting, a key is set twice or unknown, or a value is invalid.
    """
    return build(recipe, read_settings(settings, where=where), where=where)


def read_settings(settings: Iterable[str], *, where: str) -> dict[str, Any]:
    """Read `key=value` strings into nested tables.

    This is the grammar of `--set` in all verbs. `table.key=value` sets an entry of a table. The
    value is parsed as TOML; if it is not TOML, it is a string.

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

    Raise `RecipeError` if a string is not a setting, or names an entry of a value that is not a
    table.
    """
    for setting in settings:
        _override(values, setting, where=where)


def _override(values: dict[str, Any], setting: str, *, where: str) -> None:
    key, equals, text = setting.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise RecipeError(f"{where}: {_shorten(setting)} is not a setting; write key=value")
    table = values
    for name in names[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise RecipeError(f"{where}: {_shorten(setting)}: {name:.60} is not a table")
    table[names[-1]] = _read_value(text)


def _read_value(text: str) -> Any:
    """Return a TOML value, a list without its brackets (`2,3`), or the string itself."""
    for form in (text, f"[{text}]") if "," in text else (text,):
        try:
            return _parse_toml(f"value = {form}")["value"]
        except ValueError:
            continue
    return text


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
                f"{where}: got {_shorten(value)}, expected one of: {known}."
                f"{did_you_mean(str(value), map(str, get_args(hint)))}"
            )
        return value
    if dataclasses.is_dataclass(hint):
        if dataclasses.is_dataclass(value):
            return value
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: got {_shorten(value)}, expected a table")
        return build(typing.cast(type, hint), value, where=where)
    if origin is tuple:
        return _convert_tuple(value, get_args(hint), where)
    if _is_mapping(origin) or _is_mapping(hint):
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: got {_shorten(value)}, expected a table")
        item = get_args(hint)[1] if get_args(hint) else Any
        return {key: _convert(entry, item, f"{where}.{key}") for key, entry in value.items()}
    return _convert_scalar(value, hint, where)


def _is_mapping(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Mapping)


def _convert_scalar(value: Any, hint: Any, where: str) -> Any:
    # an empty path would be the working directory
    if hint is Path and isinstance(value, str | Path) and str(value).strip():
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > 2**1000:  # beyond float64
            raise RecipeError(
                f"{where}: got an integer of {value.bit_length()} bits, expected a number"
            )
        return float(value)
    if hint is type(None) and value is None:
        return None
    # bool is an int to Python, not to a reader of recipes
    mistaken = isinstance(value, bool) and hint is not bool
    if isinstance(hint, type) and isinstance(value, hint) and not mistaken:
        return value
    expected = _NAMES.get(hint, "a path" if hint is Path else getattr(hint, "__name__", str(hint)))
    raise RecipeError(f"{where}: got {_shorten(value)}, expected {expected}")


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
        raise RecipeError(f"{where}: got {_shorten(value)}, expected a list")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_convert(item, items[0], f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(items):
        raise RecipeError(f"{where}: got {len(value)} values, expected {len(items)}")
    return tuple(
        _convert(item, hint, f"{where}[{i}]")
        for i, (item, hint) in enumerate(zip(value, items, strict=True))
    )


def _parse_size(text: str, where: str) -> tuple[int, int]:
    """Return (rows, columns) of a size that is written `WxH`."""
    width, _, height = text.strip().lower().partition("x")
    if not (_is_side(width) and _is_side(height)):
        raise RecipeError(
            f"{where}: got {_shorten(text)}, expected WIDTHxHEIGHT, such as '340x256'"
        )
    return int(height), int(width)


def _is_side(digits: str) -> bool:
    return digits.isdecimal() and len(digits) <= 6 and int(digits) > 0


def _shorten(value: Any) -> str:
    """Return the representation of a value, at most about 80 characters."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an integer of more than 4,300 digits
        return f"a {type(value).__name__} that is too large"
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
