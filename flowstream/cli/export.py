"""`flowstream export`: write a trained network to a file that other programs run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from flowstream.cli.options import GroupedCommand
from flowstream.escapes import escape_controls
from flowstream.extract.forecast import readable_bytes

EXAMPLE = """\
flowstream export runs/mine/spatial/best.pt --onnx spatial.onnx
flowstream export runs/mine/temporal/best.pt --torch-export temporal.pt2 --json"""

PATH = click.Path(dir_okay=False, path_type=Path)


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--onnx", type=PATH, metavar="FILE", help="Write an ONNX file.")
@click.option("--torch-export", type=PATH, metavar="FILE", help="Write a torch.export program.")
@click.option("--json", "as_json", is_flag=True, help="Print the result and the metadata as JSON.")
def export(checkpoint: Path, onnx: Path | None, torch_export: Path | None, as_json: bool) -> None:
    """Export the network of a checkpoint to ONNX or to a program of torch.export.

    The exported network takes float32 clips (N, C, T, H, W) and returns scores (N, K) before the
    softmax; the metadata of the file describe the normalisation of the clips. The file is written
    only if its scores differ from those of the original network by at most 0.0001. An ONNX file is
    compared if onnxruntime is installed: pip install 'flowstream[export]'.
    """
    from flowstream.train.export import export_checkpoint

    wanted = {"onnx": onnx, "torch-export": torch_export}
    if not any(wanted.values()):
        raise click.UsageError("nothing to write: give --onnx FILE, --torch-export FILE, or both")
    results = [
        export_checkpoint(checkpoint, out, format=name) for name, out in wanted.items() if out
    ]
    if as_json:
        rows = [
            {
                "path": str(one.path),
                "format": one.format,
                "bytes": one.bytes,
                "difference": one.difference,
                "metadata": one.metadata,
            }
            for one in results
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for one in results:
        compared = (
            "not compared, because onnxruntime is not installed"
            if one.difference is None
            else f"scores differ by at most {one.difference:.1g}"
        )
        shapes = ", ".join(
            f"{part['name']} {'x'.join(map(str, part['shape']))}" for part in one.metadata["inputs"]
        )
        where = escape_controls(str(one.path))
        click.echo(f"{where}: {one.format}, {readable_bytes(one.bytes)}, {shapes}; {compared}")
