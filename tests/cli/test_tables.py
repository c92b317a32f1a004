"""`flowstream list`: every plug-in, with its parameters as `--set` takes them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from click.testing import CliRunner

from flowstream.cli import main
from flowstream.cli.tables import TABLES
from flowstream.codec import CODECS
from flowstream.errors import MissingDependencyError, ParameterError
from flowstream.flow import METHODS
from flowstream.plugins import Plugins
from flowstream.recipe import from_settings


def listed(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["list", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def entries(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(listed(kind, "--json"))[kind]
    return found


@pytest.mark.parametrize("kind", TABLES)
def test_every_name_of_a_table_is_listed_with_a_line_about_it(kind: str) -> None:
    text = listed(kind)
    for entry in entries(kind):
        assert f"\n  {entry['name']}  " in text
        assert entry["summary"] or entry["missing"]
        assert entry["summary"].split()[0] in text


def test_without_a_kind_all_are_listed() -> None:
    assert list(json.loads(listed("--json"))) == list(TABLES)


def test_several_kinds_can_be_named() -> None:
    assert list(json.loads(listed("codecs", "fusions", "--json"))) == ["codecs", "fusions"]


@pytest.mark.parametrize("name", METHODS)
def test_the_listed_defaults_set_a_method_to_what_it_is_anyway(name: str) -> None:
    try:
        plain = METHODS[name]()
    except (MissingDependencyError, ParameterError) as error:
        pytest.skip(str(error))  # not installed, or it must be given something: weights
    (parameters,) = [entry["parameters"] for entry in entries("methods") if entry["name"] == name]
    text = listed("methods").partition(f"\n  {name} ")[2]
    pairs = [word for word in text.split() if "=" in word][: len(parameters)]
    assert from_settings(METHODS[name], pairs, where=name) == plain


def test_presets_are_listed_with_the_values_in_which_they_differ() -> None:
    methods = {entry["name"]: entry for entry in entries("methods")}
    assert list(methods["tvl1"]["presets"]) == ["default", "fast", "accurate", "opencv"]
    assert methods["dis"]["presets"]["fast"]["gradient_descent_iterations"] == 16
    # medium is the default preset; OpenCV's values, as its documentation gives them
    assert methods["dis"]["parameters"]["patch_stride"]["default"] == 3
    assert "presets" not in methods["farneback"]
    text = " ".join(listed("methods").split())
    assert "preset=fast: finest_scale=2 patch_stride=4 gradient_descent_iterations=16" in text
    assert "preset=opencv: scheme=separate" in text


def test_parameters_are_listed_with_types_and_defaults() -> None:
    (entry,) = [entry for entry in entries("codecs") if entry["name"] == "centred8"]
    assert entry["parameters"] == {
        "bound": {"type": "float", "default": CODECS["centred8"]().bound}
    }


def test_models_are_measured_if_they_are_named() -> None:
    models = {entry["name"]: entry["measured"] for entry in entries("models")}
    c3d = models["c3d"]
    # Tran et al. 2017, arXiv:1708.05038: 78 million, and 38.5 billion multiply-adds
    assert (c3d["parameters"] // 10**6, c3d["flops"] // 10**9) == (78, 77)
    assert c3d["flops_for"] == [[3, 16, 112, 112]]
    assert (c3d["streams"], c3d["smallest"]) == ("RGB or flow", [1, 16, 16])
    both = models["two_stream"]
    assert (both["streams"], both["flops_for"][1]) == ("RGB and flow", [2, 16, 112, 112])
    orderless = [name for name, measured in models.items() if not measured["sees_order"]]
    assert {"single_frame", "late_fusion_pool"} <= set(orderless)
    assert "c3d" not in orderless
    text = " ".join(listed("models").split())
    assert "78.4 M parameters, 77.1 GFLOPs for 3x16x112x112" in text
    assert "takes RGB or flow, TxHxW at least 1x16x16; sees the order of frames" in text
    assert "Tran et al. 2015, arXiv:1412.0767, section 3.2" in text


def test_among_all_else_models_are_not_measured() -> None:
    assert not any("measured" in entry for entry in json.loads(listed("--json"))["models"])


@dataclasses.dataclass(frozen=True)
class Everything:
    """All kinds of defaults."""

    required: int
    none: int | None = None
    flag: bool = False
    sizes: tuple[int, int] = (3, 4)
    made: list[int] = dataclasses.field(default_factory=lambda: [1, 2])
    hidden: int = dataclasses.field(default=1, init=False)


def test_plugins_that_need_a_missing_package_are_marked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Installed(Plugins[Any]):
        def __getitem__(self, name: str) -> Any:
            return Everything if name == "here" else super().__getitem__(name)

    table = Installed(
        "thing",
        {"here": "dataclasses:dataclass", "gone": "no_such_torch:Thing"},
        extras={"no_such_torch": "train"},
    )
    monkeypatch.setattr("flowstream.codec.CODECS", table)
    here, gone = entries("codecs")
    assert gone["missing"].startswith("thing 'gone' needs 'no_such_torch'; install it with: pip")
    assert {name: told["default"] for name, told in here["parameters"].items()} == {
        "required": "required",
        "none": None,
        "flag": False,
        "sizes": [3, 4],
        "made": [1, 2],
    }
    text = listed("codecs")
    assert "gone  not installed: thing 'gone' needs 'no_such_torch'" in text
    assert "required=required  none=none  flag=false  sizes=[3,4]  made=[1,2]" in text


def test_an_unknown_kind_is_a_usage_error_that_names_the_known_ones() -> None:
    result = CliRunner().invoke(main, ["list", "nothing"])
    assert result.exit_code == 2
    assert "'nothing' is not one of 'methods'" in result.stderr


def test_lines_fit_a_terminal_of_eighty_columns() -> None:
    runner = CliRunner(env={"COLUMNS": "80"})
    text = runner.invoke(main, ["list"]).stdout
    assert max(map(len, text.splitlines())) <= 80
