"""What the README tells its reader to type works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flowstream.synthetic import write_action_set

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What makes the recipe of a README that is for real data small enough for a test.
SHORT = [
    f"--set={setting}"
    for stream in ("spatial", "temporal")
    for setting in (
        f"streams.{stream}.epochs=1",
        f"streams.{stream}.warm_up=0.0",
        f"streams.{stream}.size=64",
        f"streams.{stream}.evaluation.segments=1",
        f"streams.{stream}.evaluation.crops=1",
    )
] + ["--set=extract.size=[64, 72]"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    lines = (line for block in blocks("sh") for line in block.splitlines())
    return [line.split("#")[0].strip() for line in lines if line.startswith("flowstream")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory as the README assumes it: `videos/` and the clone's `pipelines/`."""
    folder = tmp_path_factory.mktemp("readme")
    write_action_set(
        folder / "videos", appearances=2, motions=2, train=3, validation=0, test=0, frames=14
    )
    (folder / "pipelines").symlink_to(ROOT / "pipelines")
    return folder


def test_the_commands_of_the_readme_run_in_their_order(folder: Path) -> None:
    assert len(commands()) >= 6
    for command in commands():
        words = shlex.split(command)
        program = [sys.executable, "-c", "from flowstream.cli import main; main()", *words[1:]]
        extra = SHORT if words[1] == "train" else []
        done = subprocess.run(
            [*program, *extra], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert (folder / "flow.png").stat().st_size > 0
    assert (folder / "runs" / "folder" / "report" / "report.html").exists()


def test_the_python_of_the_readme_runs_after_its_commands(folder: Path) -> None:
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_the_files_that_the_readme_links_to_are_there() -> None:
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (ROOT / target).exists(), target


def test_the_make_targets_of_the_readme_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
