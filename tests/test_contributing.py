"""CONTRIBUTING.md names only files, functions and tables that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from flowstream.plugins import Plugins

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACES = sorted(set(re.findall(r"`([\w/]+\.(?:py|md))(?:: (\w+))?`", TEXT)))
TABLES = re.findall(r"\| `([A-Z]+)` in `([\w/]+)/__init__\.py` \|", TEXT)


def find(name: str) -> Path:
    """Return the file of a name that is relative to the package or to the repository."""
    found = [path for path in (ROOT / "flowstream" / name, ROOT / name) if path.exists()]
    assert found, f"CONTRIBUTING.md: {name} does not exist"
    return found[0]


@pytest.mark.parametrize(("name", "function"), [one for one in PLACES if "NAME" not in one[0]])
def test_a_named_file_exists_and_defines_the_function(name: str, function: str) -> None:
    path = find(name)
    if function:
        kinds = (ast.FunctionDef, ast.ClassDef)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
        assert function in defined, f"CONTRIBUTING.md: {name} does not define {function}"


@pytest.mark.parametrize("directory", re.findall(r"`([a-z]+)/(?:NAME\.\w+)?`", TEXT))
def test_a_named_directory_exists(directory: str) -> None:
    places = [ROOT / directory, *(ROOT / "flowstream").rglob(directory)]
    assert any(path.is_dir() for path in places), f"CONTRIBUTING.md: no directory {directory}"


def test_the_named_methods_of_classes_exist() -> None:
    members = {
        (node.name, part.name)
        for path in (ROOT / "flowstream").rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
        for part in node.body
        if isinstance(part, ast.FunctionDef)
    }
    named = set(re.findall(r"`([A-Z][a-z]\w+)\.(\w+)`", TEXT))
    assert len(named) > 4
    assert named <= members


@pytest.mark.parametrize(("name", "package"), TABLES)
def test_the_tables_of_plug_ins_have_these_names(name: str, package: str) -> None:
    module = __import__(f"flowstream.{package.replace('/', '.')}", fromlist=[name])
    table = getattr(module, name)
    assert isinstance(table, Plugins | dict)
    assert len(table) > 0


def test_all_kinds_of_names_are_found() -> None:
    assert len(PLACES) > 20
    assert len(TABLES) > 10
    assert sum(bool(function) for _, function in PLACES) > 8
