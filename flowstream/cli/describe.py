"""Command `flowstream describe`: layers, cost and training memory of a model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import click

from flowstream.cli.options import GroupedCommand, NameIn, json_option, options_of
from flowstream.cli.text import format_table, format_value

if TYPE_CHECKING:
    from flowstream.models.inspect.describe import Description
    from flowstream.models.inspect.memory import TrainingMemory
    from flowstream.models.model import ClipShape, Model

EXAMPLE = """\
flowstream describe slow_fusion --input 3x20x64x64
flowstream describe early_fusion --input 2x10x224x224 --set backbone=resnet18
flowstream describe two_stream --input 10x112x112 --train --batch 32"""


# Generic since click 8.2, so that older ones refuse an argument.
class ClipLengths(click.ParamType):  # type: ignore[type-arg]
    """Parameter type for `CxTxHxW`, or `TxHxW` for a model of both streams."""

    name = "CxTxHxW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse three or four lengths, or raise a usage error."""
        parts = str(value).lower().split("x")
        # The limit of 30 digits is needed because int() rejects numbers of thousands of digits.
        if len(parts) not in (3, 4) or not all(
            part.isdecimal() and len(part) <= 30 and int(part) for part in parts
        ):
            self.fail(f"expected CxTxHxW, such as 3x16x112x112, got {value!r}", param, ctx)
        return tuple(map(int, parts))


_network = options_of("Network")
_training = options_of("Training")


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("model", type=NameIn("model", "flowstream.models:MODELS"), metavar="MODEL")
@_network(
    "--input",
    "lengths",
    type=ClipLengths(),
    metavar="CxTxHxW",
    help="Shape of a clip: channels (3 for RGB, 2 for flow), frames, rows, columns. For a model of "
    "RGB and flow: fields, rows, columns. [default: 3x16x112x112 or 16x112x112]",
)
@_network(
    "--classes",
    type=click.IntRange(min=1, max=100_000),
    default=101,
    show_default=True,
    help="Number of classes, such as 101 for UCF101.",
)
@_network(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an option of the model; 'flowstream list models' shows the options.",
)
@_network(
    "--receptive-field/--no-receptive-field",
    default=True,
    show_default=True,
    help="Compute receptive fields, which takes seconds to minutes for large networks.",
)
@_training(
    "--train",
    "training",
    is_flag=True,
    help="Estimate the memory of a training step.",
)
@_training(
    "--batch",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Number of clips in a training step.",
)
@_training(
    "--optimiser",
    type=click.Choice(["sgd", "adamw"]),
    default="sgd",
    show_default=True,
    help="Optimiser, which determines the memory of its state.",
)
@json_option
def describe(
    model: str,
    lengths: tuple[int, ...] | None,
    classes: int,
    settings: tuple[str, ...],
    receptive_field: bool,
    training: bool,
    batch: int,
    optimiser: Literal["sgd", "adamw"],
    as_json: bool,
) -> None:
    """Print size, receptive field, parameters and FLOPs of each layer of a model.

    Sizes are channels x frames x rows x columns for one clip. The receptive field is that of a unit
    far from the borders, in frames x rows x columns of the clip. FLOPs are those of convolutions,
    matrix products and attention; a multiply-add counts as two. Nothing is downloaded and
    pretrained weights are not read.
    """
    from flowstream.models import MODELS
    from flowstream.models.inspect.memory import training_memory
    from flowstream.recipe import from_settings

    options = from_settings(MODELS[model], settings, where=f"model {model!r}")
    clip = _clip(options, lengths)
    memory = None
    if training:  # computed first, because receptive fields take longer
        memory = training_memory(options, clip, classes, batch=batch, optimiser=optimiser)
    description = _trace(options, clip, classes, receptive_field=receptive_field)
    if as_json:
        click.echo(json.dumps(as_data(description, memory, batch=batch), indent=2))
        return
    click.echo(as_text(description))
    if memory is not None:
        click.echo(f"\ntraining step with {batch} clips, {optimiser} and float32:")
        click.echo(memory_table(memory))


def _clip(model: Model, lengths: tuple[int, ...] | None) -> ClipShape:
    from flowstream.models.model import ClipShape

    both = len(model.streams) > 1
    if lengths is None:
        lengths = (16, 112, 112) if both else (3, 16, 112, 112)
    if len(lengths) != (3 if both else 4):
        expected = "TxHxW of the flow" if both else "CxTxHxW"
        given = "x".join(map(str, lengths))
        raise click.BadParameter(
            f"model {model.name!r}: expected {expected}, got {given}", param_hint="'--input'"
        )
    return ClipShape(*((2, *lengths) if both else lengths))


def _trace(model: Model, clip: ClipShape, classes: int, *, receptive_field: bool) -> Description:
    from flowstream.models.inspect.describe import describe as trace
    from flowstream.models.inspect.receptive_field import count_probe_clips
    from flowstream.progress import Progress

    total = count_probe_clips(model, clip)
    with Progress(
        total, title="receptive fields", unit="clip", enabled=receptive_field, keep=False
    ) as bar:
        return trace(model, clip, classes, receptive_field=receptive_field, progress=bar.update)


def as_data(
    description: Description, memory: TrainingMemory | None, *, batch: int
) -> dict[str, Any]:
    """Return the data that `--json` prints."""
    data: dict[str, Any] = {
        "model": description.model,
        "inputs": [list(shape.lengths) for shape in description.inputs],
        "classes": description.classes,
        "parameters": description.parameters,
        "trained_parameters": description.trained,
        "flops": description.flops,
        "layers": [asdict(layer) for layer in description.layers],
    }
    if memory is not None:
        data["training"] = {"batch": batch, **asdict(memory), "temporary": memory.temporary}
    return data


def as_text(description: Description) -> str:
    """Format the table of layers and the totals below it."""
    rows = [("layer", "operation", "size", "receptive field", "parameters", "FLOPs")]
    for layer in description.layers:
        field = "" if layer.receptive_field is None else _times(layer.receptive_field)
        rows.append(
            (
                layer.name or "(all)",
                layer.operation,
                _times(layer.size),
                field,
                f"{layer.parameters:,}" if layer.parameters else "",
                f"{layer.flops:,}" if layer.flops else "",
            )
        )
    if all(layer.receptive_field is None for layer in description.layers):
        rows = [row[:3] + row[4:] for row in rows]  # type: ignore[misc]
    inputs = " and ".join(_times(shape.lengths) for shape in description.inputs)
    total = (
        f"{description.parameters:,} parameters, {description.trained:,} of them trainable; "
        f"{description.flops / 1e9:.3g} GFLOPs for a clip of {inputs}"
    )
    return f"{format_table(rows, left=2)}\n\n{total}"


def _times(lengths: tuple[int, ...]) -> str:
    return "×".join(map(str, lengths))


def memory_table(memory: TrainingMemory) -> str:
    """Format the table of the memory of a training step."""
    rows = (
        ("raw video, one byte per value", memory.raw_video),
        ("clips, the input of the network", memory.clips),
        ("activations kept for the backward pass", memory.activations),
        ("parameters and statistics of normalisation", memory.parameters),
        ("gradients of parameters", memory.gradients),
        ("optimiser state", memory.optimiser),
        ("temporary memory at the peak", memory.temporary),
        ("total at the peak, without raw video", memory.total),
    )
    return format_table((f"  {name}", format_value("bytes", size)) for name, size in rows)
