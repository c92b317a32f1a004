"""`flowstream info` on a real file of each kind, told by its content, and on broken ones."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from flowstream import synthetic
from flowstream.flow.files import write_flow
from flowstream.report import write_report
from flowstream.scores import Scores, write_scores
from flowstream.store import FlowSpec
from flowstream.train.checkpoint import Checkpoint, save_checkpoint
from flowstream.train.recipe import StreamRecipe
from tests.command_line import data, output, refusal
from tests.small_stack import make_stack

SIZE = (48, 64)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return make_stack(tmp_path / "clip.h5", speeds=(0.0,), rgb=False)


def make_video(path: Path, *, frames: int = 7) -> Path:
    pictures = [synthetic.texture(SIZE, seed=seed) for seed in range(frames)]
    return synthetic.write_video(path, pictures, fps=10)


def make_scores(stream: str, *, seed: int = 0) -> Scores:
    generator = np.random.default_rng(seed)
    return Scores(
        scores=generator.dirichlet([1.0] * 3, size=8).astype(np.float32),
        labels=generator.integers(0, 3, 8),
        videos=tuple(f"v{index}" for index in range(8)),
        classes=("run", "jump", "sit"),
        stream=stream,
        part="test",
    )


def test_info_shows_the_header_of_a_video(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4")
    found = data("info", video)
    assert (found["kind"], found["size"], found["fps"]) == ("video", [48, 64], 10.0)
    assert found["bytes"] == video.stat().st_size
    assert "decoded_frames" not in found
    assert "size           64x48" in output("info", video)


def test_info_counts_frames_by_decoding_when_asked(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=7)
    assert data("info", video, "--count")["decoded_frames"] == 7


def test_info_of_a_folder_of_numbered_images_is_that_of_a_video(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"img_{index}.png"), synthetic.texture(SIZE, seed=index))
    found = data("info", folder, "--count")
    assert (found["kind"], found["decoded_frames"], found["fps"]) == ("video", 3, None)
    assert "fps             unknown" in output("info", folder, "--count")


def test_info_shows_the_settings_of_a_stack(stack: Path) -> None:
    found = data("info", stack)
    assert (found["kind"], found["size"]) == ("stack", [48, 64])
    assert found["method"] == {"name": "dis", "preset": "medium", "patch_size": None}
    text = output("info", stack)
    assert "dis: preset medium\n" in text
    assert "centred8: bound 20\n" in text


def test_info_recognises_a_stack_by_its_content(stack: Path) -> None:
    other = stack.rename(stack.with_name("clip.mp4"))
    assert data("info", other)["kind"] == "stack"


def test_info_of_scores_measures_them(tmp_path: Path) -> None:
    scores = make_scores("rgb")
    write_scores(tmp_path / "scores.npz", scores)
    found = data("info", tmp_path / "scores.npz")
    right = int((scores.scores.argmax(axis=1) == scores.labels).sum())
    assert (found["kind"], found["stream"], found["part"]) == ("scores", "rgb", "test")
    assert found["top1"]["correct"] == right
    assert f"({right} of 8;" in output("info", tmp_path / "scores.npz")


def test_info_of_scores_without_labels_measures_nothing(tmp_path: Path) -> None:
    scores = replace(make_scores("rgb"), labels=np.full(8, -1))
    write_scores(tmp_path / "scores.npz", scores)
    found = data("info", tmp_path / "scores.npz")
    assert found["unlabelled"] == 8
    assert "top1" not in found


def test_info_shows_the_flow_spec_of_a_checkpoint(tmp_path: Path) -> None:
    spec = FlowSpec(
        method={"name": "dis", "preset": "medium"},
        sampling={"step": 1},
        size=SIZE,
        codec={"name": "centred8", "bound": 20.0},
    )
    recipe = StreamRecipe(
        stream="flow",
        model="early_fusion",
        frames=2,
        size=16,
        options={"backbone": "tiny_cnn", "pretrained": False},
    )
    network = recipe.architecture.build(recipe.clip, 3)
    checkpoint = Checkpoint(
        recipe, ("run", "jump", "sit"), spec, network.state_dict(), epoch=4,
        measures={"validation_top1": 0.75},
    )  # fmt: skip
    path = tmp_path / "best.pt"
    save_checkpoint(path, checkpoint)
    found = data("info", path)
    assert (found["kind"], found["stream"], found["model"]) == (
        "checkpoint",
        "flow",
        "early_fusion",
    )
    assert found["method"] == spec.method
    assert found["identity"] == checkpoint.identity
    assert found["weights"] == sum(value.numel() for value in network.state_dict().values())
    text = output("info", path)
    assert "validation top1  0.75\n" in text
    assert "dis: preset medium\n" in text
    path.write_bytes(path.read_bytes()[:-2000])
    assert str(path) in refusal(1, "info", path)


def test_info_shows_the_accuracies_of_a_report(tmp_path: Path) -> None:
    streams = {"spatial": make_scores("rgb"), "temporal": make_scores("flow", seed=1)}
    facts = {"fusion": {"name": "average"}, "seed": 3}
    page = write_report(tmp_path, streams, make_scores("fused", seed=2), facts=facts)
    found = data("info", page)
    assert list(found["top1"]) == ["spatial", "temporal", "fused"]
    assert found == data("info", tmp_path / "report.json")
    text = output("info", page)
    assert "top1 spatial" in text
    assert "\nfusion\nname  average\n" in text
    assert "\nfacts\nseed  3\n" in text
    write_report(tmp_path, {"spatial": make_scores("rgb")}, None, facts={})
    assert list(data("info", page)["top1"]) == ["spatial"]
    (tmp_path / "report.json").unlink()
    assert "is missing" in refusal(1, "info", page)


def test_info_of_a_damaged_report_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"format": "flowstream.report 1"}')
    assert "corrupted report" in refusal(1, "info", path)
    path.write_text('{"format": "flowstream.report 1"')
    assert "corrupted report" in refusal(1, "info", path)


def test_info_shows_size_and_speed_of_a_field(tmp_path: Path) -> None:
    field = np.zeros((2, 6, 8), np.float32)
    field[:, 0, 0] = 3, 4
    field[:, 1] = np.nan
    for suffix in (".flo", ".png", ".pfm"):
        write_flow(tmp_path / f"a{suffix}", field)
        found = data("info", tmp_path / f"a{suffix}")
        assert (found["kind"], found["size"], found["max_speed"]) == ("flow field", [6, 8], 5.0)
        assert found["known"] == 5 / 6


def test_info_names_a_dozen_classes_at_most(tmp_path: Path) -> None:
    classes = tuple(f"class{index}" for index in range(40))
    scores = np.full((1, 40), 1 / 40, np.float32)
    many = Scores(scores, np.zeros(1, np.int64), ("v",), classes, stream="rgb", part="test")
    write_scores(tmp_path / "scores.npz", many)
    text = " ".join(output("info", tmp_path / "scores.npz").split())
    assert "40: class0," in text
    assert "class11 and 28 more" in text
    assert data("info", tmp_path / "scores.npz")["classes"] == list(classes)


BROKEN: Mapping[str, tuple[str, bytes]] = {
    "an empty file": ("empty.mp4", b""),
    "text renamed to .mp4": ("text.mp4", b"hello world\n" * 100),
    "text": ("notes.txt", b"hello world\n" * 100),
    "a table": ("manifest.csv", b"video,label\na,b\n"),
    "noise": ("noise.bin", bytes(range(256)) * 16),
    "a cut-off stack": ("cut.h5", b"\x89HDF\r\n\x1a\n" + bytes(100)),
    "other JSON": ("other.json", b'{"a": 1}'),
    "a picture": ("a.png", cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()),
}


@pytest.mark.parametrize("what", BROKEN)
def test_info_refuses_in_one_line_that_names_the_file(what: str, tmp_path: Path) -> None:
    name, content = BROKEN[what]
    path = tmp_path / name
    path.write_bytes(content)
    assert str(path) in refusal(1, "info", path)


def test_info_refuses_other_archives_and_folders(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme", "hello")
    assert "neither a score file nor a checkpoint" in refusal(1, "info", tmp_path / "a.zip")
    (tmp_path / "folder").mkdir()
    assert "in this directory" in refusal(1, "info", tmp_path / "folder")


def test_info_of_what_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert "no such file" in refusal(2, "info", tmp_path / "nothing.mp4")


def test_info_counts_frames_of_real_headers_that_claim_too_many(shared_data: Path) -> None:
    for clip in sorted((shared_data / "traps").glob("*.avi")):
        found = data("info", clip, "--count")
        assert found["decoded_frames"] == found["header_frames"] - 1
