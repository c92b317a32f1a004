"""The options by which verbs ask for flow of videos, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.options import FrameSize, GroupedOption

if TYPE_CHECKING:
    from flowstream.flow import FlowMethod
    from flowstream.video import Sampling

_FRAMES: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "--short-side",
        {
            "type": click.IntRange(min=1),
            "metavar": "N",
            "help": "Resize so that the shorter side is N; the aspect is kept.",
        },
    ),
    ("--size", {"type": FrameSize(), "help": "Resize to this width and height."}),
    (
        "--fps",
        {
            "type": float,
            "metavar": "F",
            "help": "Resample to F frames a second, by time stamps.",
        },
    ),
    (
        "--step",
        {"type": click.IntRange(min=1), "metavar": "N", "help": "Take every N-th frame."},
    ),
)


def frame_options(group: str) -> Callable[[Any], Any]:
    """The options of a `Sampling`, under a title of the help."""

    def add(command: Any) -> Any:
        # the last decorator is the first option
        for name, settings in reversed(_FRAMES):
            command = click.option(name, cls=GroupedOption, group=group, **settings)(command)
        return command

    return add


def sampling_of(options: Mapping[str, Any]) -> Sampling:
    """The sampling that `frame_options` ask for."""
    from flowstream.video import Sampling

    asked = {name: options[name] for name in ("step", "fps", "short_side", "size")}
    return Sampling(**{name: value for name, value in asked.items() if value is not None})


def method_of(name: str, settings: Iterable[str], *, device: str | None) -> FlowMethod:
    """The method of that name, with `KEY=VALUE` settings and a device where one is given."""
    from flowstream.flow import METHODS
    from flowstream.recipe import from_settings

    texts = [*settings, f"device={device}"] if device else [*settings]
    return from_settings(METHODS[name], texts, where=f"method {name!r}")
