"""Recipes are checked, key by key, and every message names the place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.errors import ParameterError, RecipeError
from flowstream.recipe import build, from_settings, load_recipe


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    kind: Literal["sgd", "adamw"] = "sgd"


@dataclass(frozen=True)
class Outer:
    out: Path
    inner: Inner = Inner()
    steps: tuple[int, ...] = ()
    pair: tuple[int, int] | None = None
    fps: float | None = None
    flag: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Inner] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.fps is not None and self.fps <= 0:
            raise ParameterError(f"fps: got {self.fps}, expected more than 0")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_file_becomes_the_dataclass_it_describes(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'out = "runs"\nsteps = [1, 2]\npair = [3, 4]\nfps = 25\n[inner]\nkind = "adamw"\n'
        "[options]\nanything = 1",
    )
    assert load_recipe(path, Outer) == Outer(
        out=Path("runs"),
        inner=Inner(kind="adamw"),
        steps=(1, 2),
        pair=(3, 4),
        fps=25.0,
        options={"anything": 1},
    )


def test_a_table_of_tables_becomes_a_mapping_of_dataclasses(tmp_path: Path) -> None:
    path = written(tmp_path, 'out = "runs"\n[parts.one]\nrate = 1\n[parts.two]\nkind = "adamw"')
    assert load_recipe(path, Outer).parts == {"one": Inner(rate=1.0), "two": Inner(kind="adamw")}
    path.write_text('out = "runs"\n[parts.one]\nrat = 1')
    with pytest.raises(RecipeError, match=r"parts\.one: rat: unknown key"):
        load_recipe(path, Outer)


def test_settings_override_a_recipe_by_dotted_keys(tmp_path: Path) -> None:
    path = written(tmp_path, 'out = "runs"\n[inner]\nrate = 0.5')
    changed = load_recipe(
        path, Outer, settings=["out=other dir", "inner.rate=0.25", "steps=[7]", "options.x.y=1"]
    )
    assert changed == Outer(
        out=Path("other dir"), inner=Inner(rate=0.25), steps=(7,), options={"x": {"y": 1}}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('out = "x"\nflg = true', "flg: unknown key; known: out, inner, .*Did you mean 'flag'?"),
        ('out = "x"\n[inner]\nrat = 1', "inner: rat: unknown key.*Did you mean 'rate'?"),
        ('out = "x"\nfps = "fast"', "fps: got 'fast', expected a number"),
        ('out = "x"\nfps = true', "fps: got True, expected a number"),
        ('out = "x"\nflag = 1', "flag: got 1, expected true or false"),
        ('out = "x"\nsteps = [1, "b"]', r"steps\[1\]: got 'b', expected a whole number"),
        ('out = "x"\nsteps = 1', "steps: got 1, expected a list"),
        ('out = "x"\npair = [1]', "pair: got 1 values, expected 2"),
        ('out = "x"\ninner = 1', "inner: got 1, expected a table"),
        ('out = "x"\noptions = 1', "options: got 1, expected a table"),
        ('out = "x"\n[inner]\nkind = "adam"', "kind: got 'adam', expected one of: sgd, adamw"),
        ('out = "x"\nfps = 0', "fps: got 0.0, expected more than 0"),
        ("flag = true", "missing out"),
        ("out = ", "not TOML"),
        ("out = 3", "out: got 3, expected a path"),
    ],
)
def test_invalid_values_are_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(path, Outer)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_recipe_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read the recipe: No such file"):
        load_recipe(tmp_path / "none.toml", Outer)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "binary.toml", Outer)


@pytest.mark.parametrize("setting", ["inner.rate", "=1", "inner..rate=1", "out.deep=1"])
def test_an_override_that_names_nothing_is_refused(tmp_path: Path, setting: str) -> None:
    path = written(tmp_path, 'out = "runs"')
    with pytest.raises(RecipeError):
        load_recipe(path, Outer, settings=[setting])


def test_entries_of_tables_are_set_one_by_one() -> None:
    made = from_settings(
        Outer,
        ["out=o", "options.widths=[4, 6]", "options.own.kind=resnet18", "options.deep=true"],
        where="--set",
    )
    assert made.options == {"widths": [4, 6], "own": {"kind": "resnet18"}, "deep": True}


def test_settings_are_read_as_toml_and_else_as_strings() -> None:
    made = from_settings(
        Outer,
        ["out=a=b", "flag=true", "fps=none", "pair=[3, 4]", "steps=[1]"],
        where="--set",
    )
    assert made == Outer(out=Path("a=b"), flag=True, fps=None, pair=(3, 4), steps=(1,))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["out"], "'out' is not a setting; write key=value"),
        (["out=x", "out=y"], "out: set twice"),
        (["out=x", "flag=maybe"], "flag: got 'maybe', expected true or false"),
        (["out=x", "fps=quick"], "fps: got 'quick', expected a number"),
        (["out=x", "speed=1"], "speed: unknown key"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        from_settings(Outer, settings, where="--set")


@given(rate=st.floats(allow_nan=False, allow_infinity=False), kind=st.sampled_from(["sgd"]))
def test_a_setting_keeps_every_digit(rate: float, kind: str) -> None:
    assert from_settings(Inner, [f"rate={rate!r}", f"kind={kind}"], where="--set").rate == rate


def test_building_does_not_change_its_values() -> None:
    values: dict[str, Any] = {"out": "x", "steps": [1], "options": {"a": 1}}
    build(Outer, values, where="here")
    assert values == {"out": "x", "steps": [1], "options": {"a": 1}}


@dataclass(frozen=True)
class Sized:
    size: tuple[int, int] = (1, 2)


def test_sizes_are_written_width_by_height() -> None:
    assert build(Sized, {"size": "340x256"}, where="it").size == (256, 340)
    assert from_settings(Sized, ["size=340x256"], where="it").size == (256, 340)
    with pytest.raises(RecipeError, match=r"it: size.*'340x'.*'340x256'"):
        build(Sized, {"size": "340x"}, where="it")


@dataclass(frozen=True)
class Places:
    one: Path = Path("a")
    perhaps: Path | None = None
    several: tuple[Path, ...] = ()
    named: Mapping[str, Path] = field(default_factory=dict)


@pytest.mark.parametrize(
    "setting", ['one=""', "one=' '", 'perhaps=""', 'several=["a", ""]', 'named.x=""', "one="]
)
def test_an_empty_path_is_not_the_working_directory(setting: str) -> None:
    with pytest.raises(RecipeError, match=r"got .*, expected a path"):
        from_settings(Places, [setting], where="test")
