"""Damaged and hostile files: an error of one line or the right content, in bounded time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.faults.artefacts import KINDS, Kind
from flowstream.errors import CheckpointError, FlowstreamError, RecipeError
from flowstream.recipe import read_settings, read_toml
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.checkpoint_file import compute_digest

VARIANTS = 60


def damage(content: bytes, generator: np.random.Generator) -> bytes:
    """Flip a bit, zero a run of bytes, cut the end off, or repeat a run."""
    damaged, size = bytearray(content), len(content)
    start = int(generator.integers(size))
    stop = min(size, start + int(generator.integers(1, 400)))
    way = generator.integers(4)
    if way == 0:
        damaged[start] ^= 1 << int(generator.integers(8))
    elif way == 1:
        damaged[start:stop] = bytes(stop - start)
    elif way == 2:
        del damaged[start:]
    else:
        damaged[start:start] = damaged[start:stop]
    return bytes(damaged)


def try_to_read(kind: Kind, path: Path) -> tuple[str, str]:
    """Return the digest of a file, or the message that refuses it."""
    try:
        return kind.read(path), ""
    except FlowstreamError as error:
        return "", str(error)


@pytest.mark.parametrize("name", KINDS)
def test_damage_is_detected_or_harmless(name: str, tmp_path: Path) -> None:
    kind, path = KINDS[name], tmp_path / KINDS[name].name
    kind.write(path)
    content, expected = path.read_bytes(), kind.read(path)
    detected = 0
    for seed in range(VARIANTS):
        path.write_bytes(damage(content, np.random.default_rng(seed)))
        found, message = try_to_read(kind, path)
        detected += bool(message)
        assert "\n" not in message, seed
        assert len(message) < 800, seed
        assert found in ("", expected) or not kind.has_checksum, f"seed {seed} changes the content"
    assert detected > VARIANTS / 4


@pytest.mark.parametrize("name", KINDS)
def test_pipes_and_devices_are_refused(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    pipe = tmp_path / kind.name
    os.mkfifo(pipe)
    with pytest.raises(FlowstreamError, match="Not a regular file"):
        kind.read(pipe)
    pipe.unlink()
    pipe.symlink_to("/dev/zero")
    with pytest.raises(FlowstreamError, match="Not a regular file"):
        kind.read(pipe)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 50_000,
        "a = " + "9" * 5000,
        "a.b" * 1 + ".c" * 200_000 + " = 1",
        '"' + '"."'.join("ab" * 100) + '" = 1',
        "[" + ".".join("a" * 50_000) + "]",
        "a = 'x\0y'",
        'a = "x\\u0000y"',
        "\0",
        "a = " + "1" * 2**20,
    ],
    ids=["lists", "tables", "digits", "dots", "quoted", "header", "NUL", "escape", "only", "large"],
)
def test_hostile_toml_is_refused_in_one_short_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        read_toml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_setting_of_many_digits_is_a_string() -> None:
    assert read_settings([f"a={'9' * 5000}"], where="--set") == {"a": "9" * 5000}


def save_edited(path: Path, **changes: object) -> None:
    """Replace entries of a checkpoint and give it a digest that matches."""
    content = torch.load(path, weights_only=True)
    content.update(changes)
    content.pop("digest")
    torch.save({**content, "digest": compute_digest(content)}, path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("classes", [1, 2], "classes"),
        ("classes", ["a", "a"], "classes"),
        ("classes", "ab", "classes: got a str"),
        ("epoch", "three", "epoch: got a str"),
        ("measures", {"loss": [1]}, "measures: 'loss'"),
        ("spec", [], "spec: got a list"),
        ("recipe", {"stream": "flow", 7: 1}, "7: unknown key"),
        ("recipe", {"stream": torch.zeros(2, 2)}, "recipe"),
        ("resume", 3, "resume: got a int"),
        ("weights", {"a": 1}, "'a' is a int, expected a tensor"),
        ("weights", {"a": torch.zeros(2, dtype=torch.bfloat16)}, "torch.bfloat16, expected"),
    ],
)
def test_odd_types_in_a_checkpoint_are_refused(
    key: str, value: object, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "best.pt"
    KINDS["checkpoint"].write(path)
    save_edited(path, **{key: value})
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    KINDS["checkpoint"].write(path)
    content = torch.load(path, weights_only=True)
    content["weights"] = {"a": torch.zeros(1).expand(10**6, 10**6)}
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="claims"):
        load_checkpoint(path)


def test_a_recipe_of_a_huge_network_is_refused_before_it_is_built(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    KINDS["checkpoint"].write(path)
    recipe = dict(torch.load(path, weights_only=True)["recipe"])
    recipe |= {"model": "c3d", "options": {"features": 10**6}}
    save_edited(path, recipe=recipe)
    with pytest.raises(CheckpointError, match="weights do not fit model 'c3d'"):
        load_checkpoint(path).network()


def test_one_flipped_bit_in_the_weights_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    KINDS["checkpoint"].write(path)
    content = bytearray(path.read_bytes())
    weights = torch.load(path, weights_only=True)["weights"]["network.conv1.weight"]
    place = content.index(bytes(weights.untyped_storage()))
    content[place + 100] ^= 4
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["clsints", "f12", "recipehuge", "wbf16"])
def test_the_checkpoints_of_the_campaign_are_refused_in_one_line(
    name: str, shared_data: Path
) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(shared_data / "faults" / "checkpoint" / f"{name}.pt")
    assert "\n" not in str(caught.value)
