"""Damage to what a stack may hold besides its flow is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import pytest

from flowstream.errors import StackError
from flowstream.store import open_stack, verify_stack
from tests.store.whole_stack import KINDS, make


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("optional") / "clip.h5", **KINDS)


@pytest.fixture
def victim(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copy(whole, tmp_path / "victim.h5"))


@pytest.mark.parametrize(
    ("item", "place", "value"),
    [
        ("flow_backward", (3, 2, 2), 1.25),
        ("consistent", (1, 2, 0), 0x55),
        ("consistent", (1, 2, 2), 0x1F),  # bits beyond the last column
        ("consistency", (2,), 0.5),
        ("homography", (0, 1, 2), 3.0),
        ("inliers", (1,), 0.25),
    ],
)
def test_a_changed_value_is_found(
    victim: Path, item: str, place: tuple[int, ...], value: float
) -> None:
    with h5py.File(victim, "r+") as file:
        assert file[item][place] != value
        file[item][place] = value
    with open_stack(victim):
        pass
    with pytest.raises(StackError, match=r"changed after it was written|of its mask"):
        verify_stack(victim)


def test_a_changed_stabiliser_is_found(victim: Path) -> None:
    with h5py.File(victim, "r+") as file:
        file.attrs["stabiliser"] = file.attrs["stabiliser"].replace("sift", "orb")
    with pytest.raises(StackError, match="changed after it was written"):
        verify_stack(victim)


@pytest.mark.parametrize("item", ["consistent", "consistency", "homography", "inliers"])
def test_an_item_without_its_kin_is_no_whole_stack(victim: Path, item: str) -> None:
    with h5py.File(victim, "r+") as file:
        del file[item]
    with pytest.raises(StackError, match=r"is missing|without what belongs to it"):
        open_stack(victim)


def test_backward_flow_that_is_gone_is_found(victim: Path) -> None:
    with h5py.File(victim, "r+") as file:
        del file["flow_backward"]
    with pytest.raises(StackError, match="changed after it was written"):
        verify_stack(victim)


def test_a_stabiliser_that_is_gone_is_found(victim: Path) -> None:
    with h5py.File(victim, "r+") as file:
        del file.attrs["stabiliser"]
    with pytest.raises(StackError, match="/homography stands without"):
        open_stack(victim)


def test_backward_flow_in_another_code_is_refused(victim: Path) -> None:
    with h5py.File(victim, "r+") as file:
        file["flow_backward"].attrs["scale_factor"] = 2.0
    with pytest.raises(StackError, match=r"/flow_backward: scale_factor is 2\.0, expected 1\.0"):
        open_stack(victim)


@pytest.mark.parametrize("item", ["flow_backward", "consistent", "homography", "inliers"])
def test_an_item_of_another_length_is_refused(victim: Path, item: str) -> None:
    with h5py.File(victim, "r+") as file:
        values, kept = file[item][:-1], dict(file[item].attrs)
        del file[item]
        file.create_dataset(item, data=values).attrs.update(kept)
    with pytest.raises(StackError, match=rf"/{item} is .*expected"):
        open_stack(victim)
