"""What the options of `flowstream extract` ask for, as the settings that the library takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.flow_options import method_of, sampling_of
from flowstream.errors import ParameterError, RecipeError

if TYPE_CHECKING:
    from flowstream.codec import Codec
    from flowstream.extract import ExtractSettings
    from flowstream.flow.camera import Stabiliser


def extract_settings(options: dict[str, Any]) -> ExtractSettings:
    """The settings that the options describe; what does not fit is a usage error."""
    from flowstream.extract import ExtractSettings

    if options["scheduler"] and options["backend"] not in ("dask", "ray"):
        raise click.UsageError("--scheduler goes with --backend dask or ray.")
    if options["device"] and options["devices"]:
        raise click.UsageError("--device and --devices: give one of them.")
    # of several, any: each worker gets its own
    device = options["device"] or next(iter(named_devices(options)), None)
    try:
        return ExtractSettings(
            method=method_of(options["method"], options["method_settings"], device=device),
            sampling=sampling_of(options),
            codec=_codec(options["codec"], options["bound"]),
            compression=options["compression"],
            rgb=options["rgb"],
            allow_truncated=options["allow_truncated"],
            backward=options["backward"],
            consistency=options["consistency"],
            stabilise=_stabiliser(options["stabilise"], options["stabiliser_settings"]),
        )
    except (ParameterError, RecipeError) as error:
        raise click.UsageError(str(error)) from error


def named_devices(options: dict[str, Any]) -> list[str]:
    """The names that `--devices` gives."""
    return [name.strip() for name in (options["devices"] or "").split(",") if name.strip()]


def _stabiliser(name: str, texts: Sequence[str]) -> Stabiliser | None:
    from flowstream.flow import STABILISERS
    from flowstream.recipe import from_settings

    if name != "none":
        return from_settings(STABILISERS[name], texts, where=f"stabiliser {name!r}")
    if texts:
        raise ParameterError("--stabilise-set goes with --stabilise homography")
    return None


def _codec(name: str, bound: float | None) -> Codec:
    from flowstream.codec import CODECS

    codec = CODECS[name]
    if bound is None:
        return codec()
    if not any(field.name == "bound" and field.init for field in fields(codec)):  # type: ignore[arg-type]
        raise ParameterError(f"--bound: codec {name!r} has no bound to set")
    return codec(bound=bound)  # type: ignore[call-arg]
