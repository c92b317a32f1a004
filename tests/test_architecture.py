"""Check the structure of the code: layers, light imports, sizes and names."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import flowstream

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "flowstream"

LAYERS = [
    {"errors", "escapes"},
    {"types", "plugins", "ranges", "disk", "locks", "device", "interrupts", "progress"},
    {"recipe", "recipes"},
    {"video", "flow", "codec", "models", "synthetic"},
    {"store", "scores"},
    {"convert", "extract", "dataset"},
    {"train", "fusion", "view"},
    {"report"},
    {"stages"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, layer in enumerate(LAYERS) for name in layer}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "core", "base"}

# A kernel may be longer; a note in it gives the reason.
KERNELS = PACKAGE / "flow" / "kernels"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [
    path
    for folder in ("flowstream", "pipelines", "tests", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_packages(path: Path) -> set[str]:
    """Return the parts of flowstream that a module imports, also inside functions."""
    parts = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            names = (
                [f"flowstream.{alias.name}" for alias in node.names]
                if node.module == "flowstream"
                else [node.module or ""]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("flowstream.")}
    return parts & LEVEL.keys()


def test_imports_go_only_downward() -> None:
    problems = []
    for path in MODULES:
        part = part_of(path)
        if part == "__init__":
            continue
        if part not in LEVEL:
            problems.append(f"{part} is in no layer; add it to LAYERS")
            continue
        problems += [
            f"{path}: {part} imports {other}, which is not below it"
            for other in imported_packages(path) - {part}
            if LEVEL[other] >= LEVEL[part]
        ]
    assert not problems, "\n".join(problems)


def test_layers_do_not_import_models() -> None:
    for path in sorted((PACKAGE / "models" / "layers").glob("*.py")):
        for node in ast.walk(parse(path)):
            name = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            above = name.startswith("flowstream.models") and ".layers" not in name
            assert not above, f"{path}: imports {name}; a layer knows only other layers"


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(parse(path)) if isinstance(node, kinds)]


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function after its docstring."""
    body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1


def test_files_and_functions_stay_readable() -> None:
    problems = []
    for path in SOURCES:
        if FORBIDDEN_NAMES & set(path.relative_to(ROOT).with_suffix("").parts):
            problems.append(f"{path} has a name that says nothing")
        if path.is_relative_to(KERNELS):
            continue
        if len(path.read_text(encoding="utf-8").splitlines()) > 300:
            problems.append(f"{path} has more than 300 lines; split it by idea")
        problems += [
            f"{path}:{node.lineno} {node.name} has more than 60 lines"
            for node in functions(path)
            if body_lines(node) > 60
        ]
    assert not problems, "\n".join(problems)


def test_library_code_has_no_bare_except_no_print_and_few_positional_parameters() -> None:
    problems = [f"{path}:{problem}" for path in MODULES for problem in find_bad_code(path)]
    assert not problems, "\n".join(problems)


def find_bad_code(path: Path) -> Iterator[str]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{node.lineno} bare except"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        ):
            yield f"{node.lineno} print in the library"
    for function in functions(path):
        if path.is_relative_to(KERNELS) or is_callback(function):
            continue
        positional = [
            argument.arg
            for argument in function.args.posonlyargs + function.args.args
            if argument.arg not in ("self", "cls")
        ]
        if len(positional) > 3:
            yield f"{function.lineno} {function.name}: use * after three"


def is_callback(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether click or torch, not our own code, calls a function."""
    return function.name in ("__torch_dispatch__", "__torch_function__") or any(
        "click" in ast.unparse(decorator) for decorator in function.decorator_list
    )


def public_modules() -> list[str]:
    return [
        module.name
        for module in pkgutil.walk_packages(flowstream.__path__, "flowstream.")
        if not any(part.startswith("_") for part in module.name.split("."))
    ]


def test_every_module_has_a_docstring() -> None:
    for path in MODULES:
        assert ast.get_docstring(parse(path)), f"{path} has no docstring"


def test_every_public_class_and_function_has_a_docstring() -> None:
    kinds = (ast.FunctionDef, ast.ClassDef)
    for path in MODULES:
        for node in parse(path).body:
            if isinstance(node, kinds) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path}:{node.lineno} {node.name}: no docstring"


def packages_loaded_by(code: str) -> set[str]:
    """Return the heavy packages that a new interpreter loads when it runs `code`."""
    heavy = "torch torchvision cv2 numba h5py av matplotlib joblib"
    report = f"{code}\nimport sys; print(*[m for m in {heavy.split()!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_importing_flowstream_loads_nothing_heavy() -> None:
    assert packages_loaded_by("import flowstream") == set()


def test_asking_for_help_loads_nothing_heavy() -> None:
    code = (
        "import contextlib, io\nfrom flowstream.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['--help'])"
    )
    assert packages_loaded_by(code) == set()


def test_classical_flow_and_the_store_load_no_torch() -> None:
    code = (
        "import flowstream, flowstream.video, flowstream.extract, flowstream.store\n"
        "[flowstream.METHODS[name] for name in ('tvl1', 'tvl1_opencv', 'farneback', 'dis')]\n"
        "[flowstream.CODECS[name]() for name in flowstream.CODECS]"
    )
    assert "torch" not in packages_loaded_by(code)


def test_every_public_name_exists() -> None:
    for name in flowstream.__all__:
        assert getattr(flowstream, name) is not None
    assert dir(flowstream) == sorted(flowstream.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = flowstream.nothing


# Packages of extras that the tests do not install.
OPTIONAL = ("dask", "distributed", "ptlflow", "ray", "timm")


@pytest.mark.parametrize("name", public_modules())
def test_every_module_can_be_imported(name: str) -> None:
    if name.endswith("_triton"):
        pytest.importorskip("triton", reason="Triton comes with CUDA builds of torch")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"the optional package {error.name!r} is not installed")


def test_modules_of_one_system_are_imported_behind_a_check() -> None:
    of_one_system = {"fcntl", "grp", "msvcrt", "pwd", "resource", "termios", "tty", "winreg"}
    for path in MODULES:
        for node in parse(path).body:  # those in `if sys.platform` or `try` are deeper
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not of_one_system & set(names), f"{path}:{node.lineno} fails on other systems"
