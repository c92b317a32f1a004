"""Stacks as a torch dataset: in workers, over processes, with torchvision's transforms."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler
from torchvision.transforms import v2

import flowstream
from flowstream.dataset.split import Sample, Split
from flowstream.dataset.torch_dataset import StackDataset, to_clip
from flowstream.errors import ParameterError, RecipeError, SplitError, UnknownNameError
from flowstream.store import write_pack

Stacks = Callable[..., tuple[Sample, ...]]


def same(one: Any, other: Any) -> bool:
    return one[1] == other[1] and all(torch.equal(one[0][k], other[0][k]) for k in one[0])


def test_an_item_has_frames_and_fields_of_one_moment(stacks: Stacks) -> None:
    dataset = StackDataset(stacks(20, 20), length=4, inputs={"rgb": {"frames": 4}, "flow": {}})
    assert flowstream.StackDataset is StackDataset
    inputs, label = dataset[1]
    assert label == 1
    assert inputs["rgb"].shape == (4, 3, 12, 16)
    assert inputs["rgb"].dtype == torch.uint8
    assert inputs["flow"].shape == (4, 2, 12, 16)
    assert type(inputs["flow"]) is torch.Tensor
    # field k has dx = k, and the image of frame t is grey 5 t
    k = inputs["flow"][:, 0, 0, 0]
    grey = inputs["rgb"].float().mean(dim=(1, 2, 3))
    torch.testing.assert_close(grey, 5 * k, atol=2.0, rtol=0)  # JPEG's rounding
    assert to_clip(inputs["flow"]).shape == (2, 4, 12, 16)


def test_transforms_of_torchvision_treat_rgb_and_flow_alike(stacks: Stacks) -> None:
    transform = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.Resize((24, 32))])
    dataset = StackDataset(stacks(20), length=2, transform=transform, training=False, bound=20.0)
    plain = StackDataset(stacks(20), length=2, training=False)
    (turned, _), (before, _) = dataset[0], plain[0]
    assert turned["rgb"].shape[-2:] == turned["flow"].shape[-2:] == (24, 32)
    # mirrored, twice the size, in units of 20 px
    torch.testing.assert_close(
        turned["flow"][..., 0, 5, 5], -2 * before["flow"][..., 0, 5, 5] / 20, rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(
        turned["flow"][..., 1, 5, 5], 2 * before["flow"][..., 1, 5, 5] / 20, rtol=1e-5, atol=1e-5
    )


def test_flow_alone_can_be_cropped_at_random(stacks: Stacks) -> None:
    dataset = StackDataset(
        stacks(20), length=2, inputs=("flow",), transform=v2.RandomResizedCrop((8, 8))
    )
    inputs, _ = dataset[0]
    assert list(inputs) == ["flow"]
    assert inputs["flow"].shape == (2, 2, 8, 8)


def test_it_survives_pickling(stacks: Stacks) -> None:
    dataset = StackDataset(stacks(20, 20), length=4, transform=v2.RandomHorizontalFlip(0.0))
    _ = dataset[0]
    copy = pickle.loads(pickle.dumps(dataset))
    assert all(same(dataset[k], copy[k]) for k in range(2))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(("context", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers_change_nothing(stacks: Stacks, context: str, workers: int) -> None:
    dataset = StackDataset(stacks(20, 20, 20), length=4)
    dataset.set_epoch(2)
    alone = list(DataLoader(dataset, batch_size=2))
    loader = DataLoader(dataset, batch_size=2, num_workers=workers, multiprocessing_context=context)
    shared = list(loader)
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one[1], other[1])
        assert all(torch.equal(one[0][key], other[0][key]) for key in ("rgb", "flow"))
    dataset.set_epoch(3)
    assert not torch.equal(next(iter(DataLoader(dataset, 2)))[0]["flow"], alone[0][0]["flow"])


def test_processes_share_the_videos(stacks: Stacks) -> None:
    dataset = StackDataset(stacks(*[12] * 5), length=4, inputs=("flow",), training=False)
    seen: list[int] = []
    for rank in range(2):
        sampler: DistributedSampler[Any] = DistributedSampler(
            dataset, num_replicas=2, rank=rank, shuffle=True
        )
        sampler.set_epoch(1)
        loader = DataLoader(dataset, batch_size=2, sampler=sampler)
        # dy of video n is 100 n more than dx
        for inputs, _ in loader:
            fields = inputs["flow"][:, 0, :, 0, 0]
            seen += ((fields[:, 1] - fields[:, 0]) / 100).round().int().tolist()
    assert set(seen) == set(range(5))
    assert len(seen) == 6  # one is repeated, so that both have as many


def test_a_split_a_list_and_a_directory_are_sources(stacks: Stacks, tmp_path: Path) -> None:
    samples = stacks(12, 12)
    split = Split(("a", "b"), train=samples[:1], validation=(), test=samples[1:])
    assert StackDataset(split, length=4).samples == samples[:1]
    assert StackDataset(split, part="test", length=4).classes == ("a", "b")
    for sample, name in zip(samples, ("walk", "run"), strict=True):
        (tmp_path / "tree" / name).mkdir(parents=True)
        (tmp_path / "tree" / name / "clip.h5").write_bytes(sample.path.read_bytes())
    tree = StackDataset(tmp_path / "tree", length=4)
    assert tree.classes == ("run", "walk")
    assert tree.labels == [0, 1]
    pack = tmp_path / "pk.h5"
    write_pack({f"{one.video}.h5": one.path for one in tree.samples}, pack)
    packed = StackDataset(pack, length=4)
    assert (packed.classes, packed.labels) == (tree.classes, tree.labels)
    assert [one.video for one in packed.samples] == [one.video for one in tree.samples]
    assert packed.samples[0].path == pack / "run/clip.h5"
    assert same(packed[1], tree[1])


def test_invalid_values_are_refused(stacks: Stacks, tmp_path: Path) -> None:
    samples = stacks(12)
    with pytest.raises(SplitError, match="no stacks"):
        StackDataset(tmp_path / "nothing")
    with pytest.raises(UnknownNameError, match="unknown input 'sound'"):
        StackDataset(samples, inputs=("sound",))
    with pytest.raises(RecipeError, match="stackin"):
        StackDataset(samples, inputs={"flow": {"stackin": "flow"}})
    with pytest.raises(ParameterError, match="bound: got 0"):
        StackDataset(samples, bound=0.0)
    with pytest.raises(ParameterError, match="part: got 'val'"):
        StackDataset(Split(("a",), samples, (), samples), part="val")


def test_a_plain_loop_learns(stacks: Stacks) -> None:
    dataset = StackDataset(
        [replace(sample, label=n) for n, sample in enumerate(stacks(12, 12))],
        length=4,
        inputs=("flow",),
        bound=100.0,
    )
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 2 * 12 * 16, 2))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.3)
    losses = []
    for epoch in range(12):
        dataset.set_epoch(epoch)
        for inputs, labels in DataLoader(dataset, batch_size=2, shuffle=True):
            loss = torch.nn.functional.cross_entropy(network(inputs["flow"]), labels)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])
