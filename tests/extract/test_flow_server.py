"""The process of a device: batches of several videos, codes, errors. It runs on the CPU here."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from flowstream.errors import CodecError, ExtractionError, FlowstreamError, ParameterError
from flowstream.extract import ExtractSettings, RunOptions, extract, plan
from flowstream.extract.remote_flow import DeviceLostError, FlowLayout, RemoteFlow, open_socket
from flowstream.flow.dis import DIS
from flowstream.flow.tensor_method import TensorMethod
from flowstream.flow.tvl1 import TVL1
from flowstream.store import open_stack, verify_stack
from flowstream.types import Images, Size, Vectors

torch = pytest.importorskip("torch", reason="torch is not installed")

from flowstream.codec.centred8 import Centred8  # noqa: E402
from flowstream.codec.encoding import EncodedFields  # noqa: E402
from flowstream.extract.flow_server import FlowServer, Window, _list_pairs  # noqa: E402


@dataclass(frozen=True)
class Differences(TensorMethod):
    """Flow that tells which frames it was computed from: their first pixels."""

    name: ClassVar[str] = "differences"
    most: int = 8
    fits: int = 1000
    device: str = dataclasses.field(default="cpu", compare=False)

    def pairs_at_once(self, size: Size) -> int:
        return self.most

    def estimate(self, first: Images, second: Images) -> Vectors:
        raise NotImplementedError

    def estimate_tensors(self, frames: Any, pairs: Any, *, directions: int) -> Any:
        if len(pairs) > self.fits:
            raise torch.OutOfMemoryError("too many")
        one, other = frames[pairs[:, 0]].float(), frames[pairs[:, 1]].float()
        if (one == 255).all():
            raise ValueError("white frames")
        if (one == 254).all():
            other = other * float("nan")
        fields = torch.stack([one, other], 1) / 16
        return torch.stack([fields, fields.flip(1)][:directions])


def videos(count: int, frames: int, size: Size = (16, 24)) -> list[Images]:
    random = np.random.default_rng(5)
    return list(random.integers(0, 250, (count, frames, *size), dtype=np.uint8))


@contextmanager
def serving(tmp_path: Path, method: Any, spec: FlowLayout) -> Iterator[tuple[str, FlowServer]]:
    """Serve from a thread of this process."""
    server, listener = FlowServer(method, spec), open_socket()
    address = str(tmp_path / "socket")
    listener.bind(address)
    listener.listen()
    for call, arguments in ((server.listen, (listener,)), (server.run, ())):
        threading.Thread(target=call, args=arguments, daemon=True).start()
    yield address, server
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_each_worker_gets_the_fields_of_its_own_frames(tmp_path: Path) -> None:
    spec = FlowLayout(None, directions=2)
    with serving(tmp_path, Differences(), spec) as (address, server):
        remotes = [RemoteFlow(address, spec) for _ in range(3)]
        # two windows of each worker on their way before the first is received
        clips = videos(3, 9)
        waiting = [
            [remote.submit(clip[:5]), remote.submit(clip[4:])]
            for remote, clip in zip(remotes, clips, strict=True)
        ]
        for remote, clip, ways in zip(remotes, clips, waiting, strict=True):
            forward, backward = (
                np.concatenate(parts) for parts in zip(*(way() for way in ways), strict=True)
            )
            expected = np.stack([clip[:-1], clip[1:]], 1).astype(np.float32) / 16
            np.testing.assert_array_equal(forward, expected)
            np.testing.assert_array_equal(backward, expected[:, ::-1])
            remote.close()
    assert sum(server.batches) == 3 * 8


def test_windows_that_wait_share_a_batch_up_to_its_size() -> None:
    import queue

    server = FlowServer(Differences(most=8), FlowLayout(Centred8(), directions=1))
    for size in ((16, 24), (16, 24), (20, 24), (16, 24)):
        frames = torch.zeros(5, *size, dtype=torch.uint8)
        server._arrived.put(Window(frames, queue.SimpleQueue()))
    sizes = [[tuple(one.frames.shape[1:]) for one in server._next_batch()] for _ in range(3)]
    assert sizes == [[(16, 24), (16, 24)], [(20, 24)], [(16, 24)]]


def test_pairs_never_join_the_windows_of_two_videos() -> None:
    windows = [torch.zeros(3, 1), torch.zeros(2, 1), torch.zeros(4, 1)]
    assert _list_pairs(windows).tolist() == [[0, 1], [1, 2], [3, 4], [5, 6], [6, 7], [7, 8]]


def test_codes_and_losses_are_those_of_the_codec(tmp_path: Path) -> None:
    codec = Centred8(bound=10)
    spec = FlowLayout(codec, directions=1)
    clip = videos(1, 6)[0]
    clip[2, :8] = 0
    with serving(tmp_path, Differences(), spec) as (address, _):
        remote = RemoteFlow(address, spec)
        found = remote.submit(clip)()[0]
        remote.close()
    assert isinstance(found, EncodedFields)
    vectors = (np.stack([clip[:-1], clip[1:]], 1) / 16).astype(np.float32)
    expected = codec.encode(vectors)
    np.testing.assert_array_equal(found.codes, expected)
    assert found.at_bound == codec.at_bound(expected) > 0
    assert (found.moving, found.lost) == codec.below_step(vectors, expected)


def test_a_batch_that_does_not_fit_is_halved(tmp_path: Path) -> None:
    spec = FlowLayout(None, directions=1)
    clip = videos(1, 12)[0]
    with serving(tmp_path, Differences(most=16, fits=3), spec) as (address, _):
        remote = RemoteFlow(address, spec)
        found = remote.submit(clip)()[0]
        remote.close()
    expected = np.stack([clip[:-1], clip[1:]], 1).astype(np.float32) / 16
    np.testing.assert_array_equal(found, expected)


def test_an_error_reaches_the_worker_whose_frames_caused_it(tmp_path: Path) -> None:
    spec = FlowLayout(Centred8(), directions=1)
    with serving(tmp_path, Differences(), spec) as (address, _):
        remote = RemoteFlow(address, spec)
        with pytest.raises(FlowstreamError, match="ValueError: white frames"):
            remote.submit(np.full((3, 16, 24), 255, np.uint8))()
        with pytest.raises(CodecError, match="of 1536 flow values are not finite"):
            remote.submit(np.full((3, 16, 24), 254, np.uint8))()
        assert len(remote.submit(videos(1, 3)[0])()[0]) == 2
        remote.close()


def test_a_device_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    spec = FlowLayout(None, directions=1)
    with pytest.raises(DeviceLostError, match="has ended"):
        RemoteFlow(str(tmp_path / "none"), spec)
    listener = open_socket()
    listener.bind(str(tmp_path / "socket"))
    listener.listen()
    remote = RemoteFlow(str(tmp_path / "socket"), spec)
    connection, _ = listener.accept()
    connection.close()
    with pytest.raises(DeviceLostError, match="the same command again"):
        remote.submit(videos(1, 3)[0])()
    remote.close()
    listener.close()


SHORT: dict[str, Any] = {"engine": "torch", "inner_iterations": 4, "warps": 1, "matching": "none"}


@pytest.mark.parametrize(
    ("backend", "extra"),
    [("processes", {"backward": True}), ("sequential", {"outputs": ("consistency",)})],
)
def test_stacks_are_those_that_workers_compute_themselves(
    tmp_path: Path, make_clip: Callable[..., Path], backend: str, extra: dict[str, Any]
) -> None:
    for k in range(2):
        make_clip(tmp_path / f"in/{k}.mp4", seed=k)
    settings = ExtractSettings(TVL1(**SHORT), rgb=False, **extra)
    stacks = {}
    for share in (True, False):
        jobs = plan([tmp_path / "in"], tmp_path / str(share))
        used = backend if share else "sequential"
        options = RunOptions(workers=2, backend=used, share_devices=share)
        summary = extract(jobs, settings, tmp_path / str(share), options=options)
        assert [outcome.error for outcome in summary.failed] == []
        for job in jobs:
            verify_stack(job.output)
        stacks[share] = [(open_stack(job.output), job.output) for job in jobs]
    for (shared, _), (own, _) in zip(stacks[True], stacks[False], strict=True):
        with shared, own:
            codes = shared.codes(0, shared.num_fields), own.codes(0, own.num_fields)
            # float32 sums may differ with the batch: a vector between two codes falls on either
            assert (codes[0] != codes[1]).mean() < 1e-3
            assert shared.method == own.method


def test_a_device_process_that_cannot_start_is_one_clear_error(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    jobs = plan([make_clip(tmp_path / "clip.mp4")], tmp_path / "out")
    # This process does not know the device until it computes.
    method = TVL1(**SHORT)
    object.__setattr__(method, "device", "cpu:9:9")
    options = RunOptions(share_devices=True, devices=())
    with pytest.raises((ExtractionError, ParameterError), match="cpu:9:9"):
        extract(jobs, ExtractSettings(method), tmp_path / "out", options=options)
    assert not jobs[0].output.exists()


def test_methods_without_torch_cannot_share_a_device() -> None:
    with pytest.raises(ParameterError, match="'dis' does not compute with torch"):
        RunOptions(share_devices=True).shares_devices(DIS())
    assert not RunOptions().shares_devices(TVL1())
