"""Training logs as panels of lines, and the lines as SVG."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flowstream.errors import ParameterError
from flowstream.report.charts import curve
from flowstream.report.curves import Panel, curves

LOG = """epoch,train_loss,train_top1,validation_loss,validation_top1,learning_rate,note
1,2.0,0.25,2.5,0.2,0.1,warm
2,1.0,0.5,,,0.05,cold
3,0.5,1.0,1.5,0.6,0.01,
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def test_the_same_measure_of_two_splits_shares_a_panel(log: Path) -> None:
    panels = {panel.name: panel for panel in curves(log)}
    assert list(panels) == ["loss", "top1", "learning rate"]
    assert panels["loss"].x_name == "epoch"
    assert panels["loss"].x == (1.0, 2.0, 3.0)
    assert panels["loss"].lines["train"] == (2.0, 1.0, 0.5)
    assert panels["top1"].lines["validation"][2] == 0.6
    assert list(panels["learning rate"].lines) == ["learning rate"]


def test_measures_that_are_missing_in_some_epochs_have_gaps(log: Path) -> None:
    validation = curves(log)[0].lines["validation"]
    assert math.isnan(validation[1])
    assert (validation[0], validation[2]) == (2.5, 1.5)


def test_a_line_cut_off_while_it_was_written_is_left_out(log: Path) -> None:
    log.write_text(LOG + "4,0.4,1.")
    assert curves(log)[0].x == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("text", ["", "epoch,train_loss\n", "hello\nworld\n", "a,b\nx,y\n"])
def test_a_file_that_is_not_a_log_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(ParameterError, match=r"log\.csv: not a training log"):
        curves(path)


def test_a_log_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot read the training log"):
        curves(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParameterError, match="cannot read the training log"):
        curves(tmp_path / "bytes.csv")


def drawn(panel: Panel) -> ElementTree.Element:
    return ElementTree.fromstring(curve(panel))


def points(figure: ElementTree.Element) -> list[tuple[float, float]]:
    path = figure.find(".//path")
    assert path is not None
    numbers = [float(text) for text in re.findall(r"[-\d.]+", path.attrib["d"])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_a_straight_line_is_drawn_straight_upward_and_across_the_whole_width() -> None:
    line = points(drawn(Panel("top1", "epoch", (1, 2, 3), {"train": (0.0, 0.5, 1.0)})))
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x0 < x1 < x2
    assert y0 > y1 > y2  # SVG counts rows downward
    # 0.11: coordinates are written to a tenth of a pixel
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)


def test_gaps_are_bridged_and_the_last_value_is_shown() -> None:
    figure = drawn(Panel("top1", "epoch", (1, 2, 3), {"validation": (0.25, 0.5, math.nan)}))
    assert len(points(figure)) == 2
    assert "validation 0.5" in "".join(figure.itertext())


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0, 1e-9])
def test_one_epoch_or_a_constant_is_drawn_within_the_picture(value: float) -> None:
    circle = drawn(Panel("loss", "epoch", (1,), {"train": (value,)})).find(".//circle")
    assert circle is not None
    assert 0 <= float(circle.attrib["cx"]) <= 320
    assert 0 <= float(circle.attrib["cy"]) <= 190
    constant = points(drawn(Panel("loss", "epoch", (1, 2), {"train": (value, value)})))
    assert all(0 <= y <= 190 for _, y in constant)
