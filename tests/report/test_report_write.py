"""The report on disk: the same figures for programs and for people, in two whole files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.errors import ScoresError
from flowstream.fusion import FUSIONS
from flowstream.report import measure, write_report
from flowstream.report.facts import Difference
from flowstream.scores import Scores

HOSTILE = "<script>alert('x')</script> & \"quotes\""


def stream(name: str, seed: int, *, classes: int = 6, videos: int = 60) -> Scores:
    generator = np.random.default_rng(seed)
    labels = np.arange(videos) % classes
    logits = generator.normal(size=(videos, classes)) + 2 * np.eye(classes)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Scores(
        scores=scores.astype(np.float32),
        labels=labels,
        videos=tuple(f"class{label}/v{index}" for index, label in enumerate(labels)),
        classes=tuple(f"class{index}" for index in range(classes)),
        stream=name,
        part="test",
    )


def two_streams(**shape: int) -> tuple[dict[str, Scores], Scores]:
    streams = {"spatial": stream("rgb", 1, **shape), "temporal": stream("flow", 2, **shape)}
    parts = list(streams.values())
    return streams, FUSIONS["average"]().fit(parts)(parts)


class Reader(HTMLParser):
    """Texts and tags of a page; fails where tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(folder: Path) -> tuple[dict[str, Any], Reader]:
    data: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return data, Reader((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_and_the_data_show_the_measures(tmp_path: Path) -> None:
    streams, fused = two_streams()
    written = write_report(tmp_path / "new", streams, fused, facts={})
    assert written == tmp_path / "new" / "report.html"
    data, page = read(tmp_path / "new")
    for name, scores in streams.items():
        top1 = data["streams"][name]["top1"]
        assert top1["value"] == measure(scores).top1.value
        assert f"{100 * top1['value']:.1f}" in page.texts
    assert data["fused"]["confusion"] == [list(row) for row in measure(fused).confusion]
    assert data["classes"] == list(fused.classes)
    assert data["part"] == "test"
    wrong = sum(len(pair["videos"]) for pair in data["confusions"])
    assert wrong == 60 - data["fused"]["top1"]["correct"] > 0
    assert data["confusions"][0]["videos"][0] in " ".join(page.texts)


def test_the_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    streams, fused = two_streams()
    text = write_report(tmp_path, streams, fused, facts={"a": 1}).read_text()
    assert not re.search(r"https?:|//|url\(|@import|src=|<link", text.partition("<style>")[2])
    assert "default-src &#x27;none&#x27;" in text


def test_every_text_is_escaped(tmp_path: Path) -> None:
    streams, fused = two_streams()
    names = (HOSTILE, *fused.classes[1:])
    videos = tuple(f"{HOSTILE}/{index}" for index in range(60))
    streams = {
        HOSTILE: replace(streams["spatial"], classes=names, videos=videos),
        "temporal": replace(streams["temporal"], classes=names, videos=videos),
    }
    log = tmp_path / "log.csv"
    log.write_text('epoch,"train_<b>x"\n1,2\n2,1\n')
    fused = replace(fused, classes=names, videos=videos)
    write_report(tmp_path, streams, fused, facts={HOSTILE: HOSTILE}, logs={HOSTILE: log})
    data, page = read(tmp_path)
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert not any(tag == "b" and not attributes for tag, attributes in page.tags)
    assert HOSTILE in page.texts
    assert data["facts"] == {HOSTILE: HOSTILE}


@dataclass(frozen=True)
class Recipe:
    root: Path = Path("data") / "x"
    sizes: tuple[int, int] = (128, 171)
    rate: float = 0.01
    limit: float = float("inf")


def test_changed_settings_are_a_table_and_fold_the_others(tmp_path: Path) -> None:
    streams, fused = two_streams()
    changed = [Difference("streams.spatial.frames", "3", "16")]
    write_report(tmp_path, streams, fused, facts={"seed": 7}, differences=changed)
    data, page = read(tmp_path)
    place = page.texts.index("streams.spatial.frames")
    assert page.texts[place : place + 3] == ["streams.spatial.frames", "3", "16"]
    assert "details" in [tag for tag, _ in page.tags]
    assert data["differences"][0]["default"] == "16"


def test_facts_become_plain_data(tmp_path: Path) -> None:
    streams, fused = two_streams()
    facts = {"recipe": Recipe(), "weights": np.array([0.5, 0.5]), "seed": np.int64(3), "none": None}
    write_report(tmp_path, streams, fused, facts=facts)
    data, page = read(tmp_path)
    assert data["facts"] == {
        "recipe": {"root": "data/x", "sizes": [128, 171], "rate": 0.01, "limit": None},
        "weights": [0.5, 0.5],
        "seed": 3,
        "none": None,
    }
    assert "128, 171" in page.texts


def test_classes_are_listed_worst_first_and_can_be_sorted_by_any_column(tmp_path: Path) -> None:
    streams, fused = two_streams()
    write_report(tmp_path, streams, fused, facts={})
    _, page = read(tmp_path)
    start = page.tags.index(("table", {"class": "sortable"}))
    values = [tag["data-value"] for name, tag in page.tags[start:] if "data-value" in tag]
    rows = [values[index : index + 7] for index in range(0, len(values), 7)]
    assert {row[0] for row in rows} == set(fused.classes)
    accuracy = [float(row[4] or "nan") for row in rows]
    assert accuracy == sorted(accuracy)


def test_a_class_without_videos_is_shown_without_an_accuracy(tmp_path: Path) -> None:
    streams, fused = two_streams()
    few = [index for index in range(60) if index % 6]
    cut = {
        name: replace(
            part,
            scores=part.scores[few],
            labels=part.labels[few],
            videos=tuple(part.videos[index] for index in few),
        )
        for name, part in {**streams, "fused": fused}.items()
    }
    whole = cut.pop("fused")
    write_report(tmp_path, cut, whole, facts={})
    data, page = read(tmp_path)
    assert data["fused"]["classes"][0]["accuracy"] is None
    assert page.texts.count("–") == 3


def test_learning_curves_are_drawn_where_a_log_is_given(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("epoch,train_loss,validation_loss\n1,2,3\n2,1,2\n")
    streams, fused = two_streams()
    write_report(tmp_path, streams, fused, facts={}, logs={"spatial": log})
    _, page = read(tmp_path)
    assert "Training" in page.texts
    assert "loss" in page.texts
    write_report(tmp_path, streams, fused, facts={})
    assert "Training" not in read(tmp_path)[1].texts


def test_one_stream_alone_can_be_reported(tmp_path: Path) -> None:
    part = stream("rgb", 3)
    write_report(tmp_path, {"spatial": part}, None, facts={})
    data, page = read(tmp_path)
    assert (data["agreements"], data["fused"]) == ([], None)
    assert "Where the streams agree" not in page.texts
    assert "fused" not in page.texts
    assert page.texts.count("spatial") == 3  # card, measures and classes
    with pytest.raises(ScoresError, match="no stream to report on"):
        write_report(tmp_path, {}, None, facts={})


def test_a_perfect_result_says_so(tmp_path: Path) -> None:
    part = stream("rgb", 4)
    perfect = replace(part, scores=np.eye(6, dtype=np.float32)[part.labels])
    write_report(tmp_path, {"spatial": perfect}, None, facts={})
    assert "Every video was classified correctly." in read(tmp_path)[1].texts


def test_hundreds_of_classes_stay_one_readable_page(tmp_path: Path) -> None:
    streams, fused = two_streams(classes=200, videos=400)
    path = write_report(tmp_path, streams, fused, facts={})
    # Only cells that hold a video are drawn: 40,000 rectangles would be 4 MB.
    assert path.stat().st_size < 500_000
    read(tmp_path)


def test_the_same_scores_give_the_same_files_and_nothing_else_is_left(tmp_path: Path) -> None:
    streams, fused = two_streams()
    for folder in ("one", "two", "two"):
        write_report(tmp_path / folder, streams, fused, facts={"a": [1, 2]})
    for name in ("report.json", "report.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert len(list((tmp_path / "two").iterdir())) == 2


def test_streams_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    streams, fused = two_streams()
    other = replace(fused, classes=("x", *fused.classes[1:]))
    with pytest.raises(ScoresError, match="'spatial' and 'fused' have different classes"):
        write_report(tmp_path, streams, other, facts={})
    other = replace(fused, videos=("x", *fused.videos[1:]))
    with pytest.raises(ScoresError, match="'spatial' has 60 videos, 'fused' 60"):
        write_report(tmp_path, streams, other, facts={})
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    streams, fused = two_streams()
    with pytest.raises(ScoresError, match="cannot write the report"):
        write_report(tmp_path / "file", streams, fused, facts={})
