"""Tables import what they name when it is asked for, and say what is wrong otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from flowstream.errors import MissingDependencyError, UnknownNameError
from flowstream.plugins import Plugins, provenance, rebuild


@dataclass(frozen=True)
class Blur:
    name: ClassVar[str] = "blur"
    size: tuple[int, int] = (3, 3)
    sigma: float = 1.0
    threads: int = field(default=1, compare=False)


@pytest.fixture
def table() -> Plugins[Any]:
    return Plugins(
        "filter",
        {
            "dataclass": "dataclasses:dataclass",
            "broken": "no_such_package_at_all.sub:Thing",
            "torchy": "no_such_torch:Thing",
        },
        extras={"no_such_torch": "train"},
    )


def test_a_name_returns_its_object(table: Plugins[Any]) -> None:
    assert table["dataclass"] is dataclass


def test_a_table_lists_its_names_without_importing_them(table: Plugins[Any]) -> None:
    assert list(table) == ["dataclass", "broken", "torchy"]
    assert len(table) == 3
    assert "broken" in table
    assert "filter" in repr(table)


def test_an_unknown_name_gives_the_known_and_the_nearest_names(
    table: Plugins[Any],
) -> None:
    with pytest.raises(UnknownNameError) as caught:
        table["dataclas"]
    assert str(caught.value) == (
        "unknown filter 'dataclas'; known: dataclass, broken, torchy. Did you mean 'dataclass'?"
    )


def test_an_unknown_name_is_a_key_error_so_that_mapping_methods_work(table: Plugins[Any]) -> None:
    assert table.get("nothing") is None


def test_a_missing_package_is_named_with_what_installs_it(table: Plugins[Any]) -> None:
    with pytest.raises(MissingDependencyError, match="needs 'no_such_package_at_all'"):
        table["broken"]
    with pytest.raises(MissingDependencyError, match=r"pip install 'flowstream\[train\]'"):
        table["torchy"]


def test_a_broken_line_of_our_own_table_is_a_bug_not_a_missing_package() -> None:
    table: Plugins[Any] = Plugins("filter", {"gone": "flowstream.no_such_module:Thing"})
    with pytest.raises(ModuleNotFoundError) as caught:
        table["gone"]
    assert not isinstance(caught.value, MissingDependencyError)


def test_provenance_is_plain_data_and_leaves_out_how_to_compute() -> None:
    assert provenance(Blur(threads=8)) == {"name": "blur", "size": [3, 3], "sigma": 1.0}


def test_provenance_rebuilds_an_equal_plugin() -> None:
    blur = Blur(size=(5, 7), sigma=0.5)
    assert rebuild({"blur": Blur}, provenance(blur)) == blur
