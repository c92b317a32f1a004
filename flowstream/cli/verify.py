"""`flowstream verify`: check every byte of stacks, and the completeness of a set of stacks."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstream.cli.options import GroupedCommand, SourcePath, json_option, progress_is_wanted
from flowstream.cli.paths import find_stacks, paths_argument
from flowstream.errors import StackError
from flowstream.escapes import escape_controls
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.store.audit import Checked, Finding


@click.command(
    cls=GroupedCommand,
    example="flowstream verify stacks\n"
    "flowstream verify stacks --sources videos.csv\n"
    "flowstream verify stacks --delete-damaged",
)
@paths_argument("PATH")
@click.option(
    "--sources",
    multiple=True,
    type=SourcePath(),
    metavar="PATH",
    help="Videos, directory, pattern or manifest of the extraction; may be given several times.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of stacks checked in parallel.  [default: number of CPU cores]",
)
@click.option("--delete-damaged", is_flag=True, help="Delete damaged stacks, but no packs.")
@json_option
def verify(
    paths: tuple[Path, ...],
    sources: tuple[Path, ...],
    jobs: int | None,
    delete_damaged: bool,
    as_json: bool,
) -> None:
    """Check stacks completely: layout, counts, values, images and every checksum.

    PATH is a stack, a pack, a directory or a pattern. Stacks whose settings differ from those of
    the majority are reported as well. With --sources, videos without a stack and stacks without a
    video are also reported; PATH must then be the --out directory of 'flowstream extract'. The exit
    code is 1 if anything is reported.
    """
    from flowstream.store import is_pack
    from flowstream.store.audit import (
        Finding,
        check_packs,
        check_stacks,
        compare_paths,
        compare_settings,
    )

    if sources and (len(paths) != 1 or not (paths[0].is_dir() or is_pack(paths[0]))):
        raise click.UsageError("--sources: expected one PATH, the directory of all stacks.")
    stacks = find_stacks(paths)
    checked: list[Checked] = []
    wanted = progress_is_wanted() and not as_json
    with Progress(len(stacks), title="verify", unit="stack", enabled=wanted, keep=False) as shown:
        for item in check_stacks(stacks, jobs=jobs or os.cpu_count() or 1):
            checked.append(item)
            shown.update()
    findings = [
        Finding("damaged", item.path, item.problem) for item in checked if item.problem is not None
    ]
    findings += check_packs(stacks)
    findings += compare_settings(checked)
    if sources:
        from flowstream.extract.jobs import find_extracted

        present = {path.absolute() for path in stacks}
        listed = find_extracted(
            sources, paths[0], exists=lambda output: output.absolute() in present
        )
        expected = [job.output for job in listed]
        findings += compare_paths(stacks, expected)
    _print(len(stacks), findings, as_json=as_json)
    if findings:
        number, count = len(findings), len(stacks)
        text = f"{number} finding{'s' * (number != 1)} in {count} stack{'s' * (count != 1)}"
        raise StackError(text + _handle_damaged(findings, delete=delete_damaged))


def _handle_damaged(findings: list[Finding], *, delete: bool) -> str:
    """Delete the damaged stacks if requested, and return how they are replaced.

    A pack is never deleted, because the other stacks in it are good.
    """
    from flowstream.store.pack import file_of, may_be_pack

    damaged = [finding.path for finding in findings if finding.kind == "damaged"]
    packs = {file: None for path in damaged if may_be_pack(file := file_of(path))}
    single = [path for path in damaged if file_of(path) not in packs]
    text = ""
    if single and delete:
        for path in single:
            _delete(path)
        text = "; the damaged ones are deleted, extract them again"
    elif single:
        text = (
            ". Replace damaged stacks with 'flowstream extract --verify', or delete them with "
            "--delete-damaged and extract again"
        )
    if packs:
        kept = "is a pack and is not deleted" if delete else "is a pack"
        text += f"; {next(iter(packs))} {kept}: 'flowstream unpack' writes its good stacks"
    return text


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise StackError(f"{path}: cannot delete: {error.strerror}") from error


def _print(count: int, findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        records = [
            {**dataclasses.asdict(finding), "path": str(finding.path)} for finding in findings
        ]
        click.echo(json.dumps({"checked": count, "findings": records}, indent=2))
        return
    for finding in findings:
        line = f"{finding.kind}: {finding.path}: {finding.problem}"
        click.echo(escape_controls(line))
    if not findings:
        click.echo(f"{count} stack{'s' * (count != 1)} checked, no findings")
