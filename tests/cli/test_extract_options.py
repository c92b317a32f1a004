"""`flowstream extract`: directions, the camera and devices."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowstream.cli import main
from flowstream.store import open_stack, verify_stack
from flowstream.synthetic import texture, write_video

QUICK = ["--method", "dis", "--backend", "sequential", "--quiet"]
EVERYTHING = ["--backward", "--consistency", "--stabilise", "homography"]


def flowstream(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    image = texture((96, 140), seed=3)
    return write_video(tmp_path / "clip.mp4", (image[:, 2 * t : 2 * t + 128] for t in range(4)))


def test_info_shows_the_options_of_a_stack(clip: Path) -> None:
    out = clip.parent / "out"
    result = flowstream("extract", clip, "--out", out, *QUICK, *EVERYTHING, "--json")
    assert result.exit_code == 0, result.output
    assert [outcome["pairs"] for outcome in json.loads(result.stdout)["done"]] == [3]
    verify_stack(out / "clip.h5")
    told = json.loads(flowstream("info", out / "clip.h5", "--json").stdout)
    assert told["outputs"] == ["backward", "camera", "consistency", "rgb"]
    assert 0.5 < told["consistency"] <= 1
    assert told["stabiliser"]["name"] == "homography"
    assert told["stabilised"] == 1
    text = flowstream("info", out / "clip.h5").stdout
    assert re.search(r"consistency +\d+\.\d+%", text)
    assert re.search(r"stabiliser.*homography", text)


def test_the_same_command_again_skips_and_another_is_refused(clip: Path) -> None:
    command = ["extract", clip, "--out", clip.parent / "out", *QUICK]
    assert flowstream(*command, *EVERYTHING).exit_code == 0
    again = flowstream(*command, *EVERYTHING, "--json")
    assert len(json.loads(again.stdout)["skipped"]) == 1
    result = flowstream(*command, "--backward", "--consistency")
    assert result.exit_code == 1
    assert "stabiliser.name: stored: 'homography', requested: absent" in result.stderr


def test_the_stabiliser_takes_parameters(clip: Path) -> None:
    command = ["extract", clip, "--out", clip.parent / "out", *QUICK, "--stabilise-set"]
    assert flowstream(*command, "features=sift", "--stabilise", "homography").exit_code == 0
    with open_stack(clip.parent / "out/clip.h5") as stack:
        assert stack.stabiliser is not None
        assert stack.stabiliser["features"] == "sift"
    for arguments, message in (
        (["features=sift"], "--stabilise-set needs --stabilise homography"),
        (["features=surf", "--stabilise", "homography"], "expected one of: orb, sift"),
        (["feature=orb", "--stabilise", "homography"], "Did you mean 'features'"),
    ):
        result = flowstream(*command, *arguments)
        assert result.exit_code == 2
        assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stabilise", "affine"], "'affine' is not one of 'none', 'homography'"),
        (["--method", "dis", "--device", "cpu,cpu"], "device: unknown key"),
        (["--device", "cpu,cuda:99"], "device 'cuda:99' does not work here"),
        (["--device", "cdua"], "expected auto, cpu, cuda, cuda:N or mps"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(
    clip: Path, arguments: list[str], message: str
) -> None:
    result = flowstream("extract", clip, "--out", clip.parent / "out", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (clip.parent / "out").exists()


def test_a_plan_counts_a_worker_for_each_device(clip: Path) -> None:
    other = write_video(clip.parent / "other.mp4", [texture((96, 128), seed=k) for k in range(3)])
    command = ["extract", clip, other, "--out", clip.parent / "out", "--set", "preset=fast"]
    result = flowstream(*command, "--device", "cpu, cpu", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["workers"] == 2


def test_each_option_is_explained() -> None:
    page = " ".join(flowstream("extract", "--help").stdout.split())
    for option in ("--backward", "--consistency", "--stabilise [none|homography]", "--device"):
        assert re.search(rf"{re.escape(option)}(?: NAME,\.\.\.)? +[A-Z][a-z]+ ", page), option


def test_a_missing_gpu_is_reported_and_the_cpu_is_used(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    command = ["extract", clip, "--out", clip.parent / "out", "--dry-run", "--json"]
    result = flowstream(*command, "--device", "auto")
    assert result.exit_code == 0, result.output
    assert "no GPU was found; flow is computed on the CPU" in result.stderr


def test_the_name_cuda_stands_for_all_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from flowstream import device

    monkeypatch.setattr(device, "choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    names = {name: [str(one) for one in device.list_devices(name)] for name in ("cuda", "cuda:1")}
    assert names == {"cuda": ["cuda:0", "cuda:1"], "cuda:1": ["cuda:1"]}
