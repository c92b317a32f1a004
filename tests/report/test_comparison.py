"""The comparison of models: as data, as a table, and as a page that stands by itself."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from flowstream.errors import ScoresError
from flowstream.report.comparison import Comparison, Contender, page, write_comparison
from flowstream.report.measures import Share, wilson


def contender(name: str, correct: int, *, sees_order: bool) -> Contender:
    return Contender(
        name=name,
        model="early_fusion",
        sees_order=sees_order,
        inputs=((3, 1, 32, 32), (2, 8, 32, 32)) if sees_order else ((3, 8, 24, 24),),
        top1=Share(correct, 80, correct / 80, *wilson(correct, 80)),
        parameters=12_345,
        flops=6_700_000,
        step_seconds=0.25,
        memory_bytes=89_000_000,
        report=f"{name}/report.html",
    )


@pytest.fixture
def comparison() -> Comparison:
    return Comparison(
        contenders=[
            contender("blind", 40, sees_order=False),
            contender("seeing", 80, sees_order=True),
        ],
        references={"appearance alone": 0.5},
        budget="2 epochs",
        data="80 videos",
    )


def test_all_three_files_say_the_same(comparison: Comparison, tmp_path: Path) -> None:
    assert write_comparison(tmp_path, comparison) == tmp_path / "comparison.html"
    found = json.loads((tmp_path / "comparison.json").read_text())
    rows = list(csv.DictReader((tmp_path / "comparison.csv").read_text().splitlines()))
    for one, row in zip(found["contenders"], rows, strict=True):
        assert one["name"] == row["name"]
        assert one["top1"]["value"] == float(row["top1"])
        assert one["top1"]["low"] == float(row["top1_low"])
        assert one["memory_bytes"] == int(row["memory_bytes"])
        assert one["clip"] == row["clip"]
    text = (tmp_path / "comparison.html").read_text()
    for shown in ("100.0", "12,345", "6.7", "0.250", "89.0"):
        assert f">{shown}</td>" in text
    assert not list(tmp_path.glob("*.part"))


def test_inputs_of_networks_are_listed_and_sorted_by_size(
    comparison: Comparison, tmp_path: Path
) -> None:
    write_comparison(tmp_path, comparison)
    rows = list(csv.DictReader((tmp_path / "comparison.csv").read_text("utf-8").splitlines()))
    assert [row["clip"] for row in rows] == ["3×8×24×24", "3×1×32×32 and 2×8×32×32"]
    found = json.loads((tmp_path / "comparison.json").read_text())["contenders"]
    assert [one["inputs"] for one in found] == [[[3, 8, 24, 24]], [[3, 1, 32, 32], [2, 8, 32, 32]]]
    text = page(comparison)
    assert f'<td data-value="{3 * 8 * 24 * 24}">3×8×24×24</td>' in text
    assert (
        f'<td data-value="{(3 + 16) * 32 * 32}">3×1×32×32 and\N{NO-BREAK SPACE}2×8×32×32</td>'
        in text
    )


def test_a_reference_is_drawn_where_a_model_that_reaches_it_is(comparison: Comparison) -> None:
    row = page(comparison).split("blind: 40 of 80 correct")[1]
    reference, mark = (row.split(f"<{tag} ")[1].split(">")[0] for tag in "sb")
    assert 'style="left:50.00%"' in reference
    assert 'style="left:50.00%"' in mark


def test_names_are_escaped_and_the_page_asks_for_nothing(comparison: Comparison) -> None:
    bad = replace(comparison.contenders[0], name="<b>&")
    text = page(replace(comparison, contenders=[bad]))
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "http" not in text.replace("http-equiv", "")


def test_an_empty_comparison_is_refused(comparison: Comparison, tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match="no model to compare"):
        write_comparison(tmp_path, replace(comparison, contenders=[]))
