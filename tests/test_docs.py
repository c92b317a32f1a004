"""Run each code block of the README and the documentation pages as it is written."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import warnings
from pathlib import Path

import pytest

from flowstream.synthetic import write_action_set
from tests.command_line import call

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
# Commands that make test covers elsewhere, or that install something.
SKIPPED = ("make ", "pip ", "git ", "cd ")
# What makes commands for real data small enough for a test. Worker processes have tests elsewhere.
SHORT = {
    "plan": ["--backend=sequential"],
    "extract": ["--backend=sequential"],
    "train": [
        "--set=extract.size=96x80",
        "--set=streams.spatial.size=96x80",
        "--set=streams.spatial.frames=2",
        "--set=streams.temporal.size=96x80",
        "--set=streams.temporal.frames=30",
        "--set=streams.temporal.run=30",
    ],
}


def runnable_blocks(page: Path) -> list[tuple[str, str]]:
    """Return (language, code) of the sh and python blocks of a page, in order."""
    return [
        (language, code)
        for language, code in BLOCK.findall(page.read_text(encoding="utf-8"))
        if language in ("sh", "python")
    ]


def commands(code: str) -> list[list[str]]:
    """Return the words of each command in a sh block; backslashes continue a line."""
    lines = code.replace("\\\n", " ").splitlines()
    kept = (line.strip() for line in lines)
    return [
        shlex.split(line, comments=True)
        for line in kept
        if line and not line.startswith(("#", *SKIPPED))
    ]


def split_redirection(words: list[str]) -> tuple[list[str], str]:
    """Return a command without `> FILE`, and the name of the file or an empty string."""
    if ">" not in words:
        return words, ""
    at = words.index(">")
    return [*words[:at], *words[at + 2 :]], words[at + 1]


def run_command(words: list[str]) -> None:
    """Run a command of the program in this process and the current directory."""
    assert words[0] == "flowstream", f"{words[0]} is no flowstream command"
    words, target = split_redirection(words)
    result = call(*words[1:], *SHORT.get(words[1], []))
    assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}{result.exception!r}"
    if target:
        Path(target).write_text(result.stdout, encoding="utf-8")


def run_python(code: str) -> None:
    """Run a block of Python as a program whose warnings are errors."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        exec(compile(code, "block", "exec"), {"__name__": "__main__"})


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a class tree of four synthetic classes, rendered once."""
    manifest = write_action_set(
        tmp_path_factory.mktemp("pages") / "videos",
        appearances=2,
        motions=2,
        train=3,
        validation=0,
        test=0,
        frames=14,
    )
    return manifest.parent


@pytest.mark.parametrize(
    "page", [page for page in PAGES if runnable_blocks(page)], ids=lambda page: page.stem
)
def test_the_code_blocks_of_a_page_run_in_their_order(
    page: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page starts in a directory with `videos/`, a class tree."""
    shutil.copytree(videos, tmp_path / "videos")
    monkeypatch.chdir(tmp_path)
    for language, code in runnable_blocks(page):
        if language == "python":
            run_python(code)
        else:
            for words in commands(code):
                run_command(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_that_a_page_links_to_exist(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_the_make_targets_of_the_readme_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z]+)", PAGES[0].read_text(encoding="utf-8"))):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


# Every task that a page explains step by step, and every subject that has a page.
HOW_TOS = (
    "my-videos",
    "subtle-motion",
    "long-videos",
    "cluster",
    "from-other-tools",
    "to-numpy",
)
SUBJECTS = (
    "methods",
    "look",
    "training",
    "networks",
    "format",
    "reliability",
    "architecture",
    "api",
)


def read_links(page: Path) -> set[Path]:
    """Return the Markdown files that a page links to."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", prose)
    return {(page.parent / target).resolve() for target in targets}


def test_every_page_is_two_clicks_from_the_readme() -> None:
    first = read_links(PAGES[0])
    second = first.union(*map(read_links, first))
    wanted = {
        *(ROOT / "docs" / "howto" / f"{name}.md" for name in HOW_TOS),
        *(ROOT / "docs" / f"{name}.md" for name in SUBJECTS),
    }
    assert wanted <= set(PAGES) & second
    # pages that are written later must be linked as well
    assert set(PAGES[1:]) <= second


def test_the_readme_fits_a_screen_and_opens_with_a_picture() -> None:
    lines = PAGES[0].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 52
    assert any(line.startswith("![") for line in lines[:8])
