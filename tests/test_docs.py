"""Run each code block of the README and the documentation pages as it is written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flowstream.synthetic import write_action_set

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
# Commands that make test covers elsewhere, or that install something.
SKIPPED = ("make ", "pip ", "git ", "cd ")
# Settings that make a recipe for real data small enough for a test.
SHORT = {
    "train": [
        "--set=extract.size=96x80",
        "--set=streams.spatial.size=96x80",
        "--set=streams.spatial.frames=2",
        "--set=streams.temporal.size=96x80",
        "--set=streams.temporal.frames=10",
    ]
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


def run_page(page: Path, directory: Path) -> None:
    """Run all blocks of a page in a directory; raise AssertionError on the first failure."""
    for language, code in runnable_blocks(page):
        if language == "python":
            programs = [[sys.executable, "-W", "error", "-c", code]]
        else:
            programs = []
            for words in commands(code):
                name = page.relative_to(ROOT)
                assert words[0] == "flowstream", f"{name}: {words[0]} is no flowstream command"
                extra = SHORT.get(words[1], [])
                programs.append([sys.executable, "-m", "flowstream", *words[1:], *extra])
        for program in programs:
            words, target = split_redirection(program)
            done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
            if target:
                (directory / target).write_text(done.stdout, encoding="utf-8")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if runnable_blocks(page)], ids=lambda page: page.stem
)
def test_the_code_blocks_of_a_page_run_in_their_order(page: Path, tmp_path: Path) -> None:
    """Each page starts with `videos/`, a class tree of four synthetic classes."""
    write_action_set(
        tmp_path / "videos", appearances=2, motions=2, train=3, validation=0, test=0, frames=14
    )
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_that_a_page_links_to_exist(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_the_make_targets_of_the_readme_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z]+)", PAGES[0].read_text(encoding="utf-8"))):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
