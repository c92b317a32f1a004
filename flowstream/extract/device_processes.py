"""Start a process for each device that estimates flow for all workers of a run."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import cloudpickle

from flowstream.errors import ExtractionError
from flowstream.extract.devices import on_device
from flowstream.extract.options import RunOptions
from flowstream.extract.pools.messages import receive, send
from flowstream.extract.pools.processes import start_python
from flowstream.extract.remote_flow import flow_layout
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.work import Extraction
from flowstream.flow.tensor_method import TensorMethod

_COMMAND = "from flowstream.extract.flow_server import serve; serve()"
_LONGEST = 100  # bytes of a socket's path that every system accepts


@contextmanager
def make_tasks(
    settings: ExtractSettings, options: RunOptions, *, inherited: Sequence[int] = ()
) -> Iterator[list[Extraction]]:
    """Yield the tasks of the workers in turns, with a process for each device if they share it."""
    devices = options.devices or (None,)
    if not options.shares_devices(settings.method):
        yield [Extraction(settings, device) for device in devices]
        return
    names = options.devices or (settings.method.device,)
    with device_processes(settings, names, inherited=inherited) as addresses:
        yield [Extraction(settings, address=address) for address in addresses]


@contextmanager
def device_processes(
    settings: ExtractSettings, devices: Sequence[str], *, inherited: Sequence[int] = ()
) -> Iterator[list[str]]:
    """Run a process for each device; yield the addresses of their sockets.

    Raises
    ------
    ExtractionError
        If a process cannot use its device.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(_short_directory()))
        addresses = [str(directory / f"{k}.socket") for k in range(len(devices))]
        processes = []
        for device, address in zip(devices, addresses, strict=True):
            method = on_device(settings.method, device)
            assert isinstance(method, TensorMethod)
            process = start_python(_COMMAND, {}, inherited)
            stack.callback(_end, process)
            assert process.stdin is not None
            with suppress(OSError):
                send(process.stdin, cloudpickle.dumps((method, flow_layout(settings), address)))
            processes.append(process)
        for device, process in zip(devices, processes, strict=True):
            assert process.stdout is not None
            answer = receive(process.stdout)
            if answer != b"":
                reason = answer.decode() if answer else "its process ended, see above"
                raise ExtractionError(f"device {device}: cannot estimate flow: {reason}")
        yield addresses


@contextmanager
def _short_directory() -> Iterator[str]:
    usual = tempfile.gettempdir()
    parent = usual if len(os.fsencode(usual)) < _LONGEST - 40 else "/tmp"
    with tempfile.TemporaryDirectory(prefix="flowstream-", dir=parent) as directory:
        yield directory


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()
