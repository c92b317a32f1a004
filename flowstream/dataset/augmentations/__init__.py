"""Random transforms for training: one file and one line in `AUGMENTATIONS` for each.

A recipe lists them as tables: `augment = [{ name = "corner_crop", scales = [1.0, 0.875] }]`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from flowstream.dataset.transforms import Transform
from flowstream.errors import ParameterError, RecipeError, UnknownNameError
from flowstream.plugins import Plugins
from flowstream.recipe import build
from flowstream.types import Size

AUGMENTATIONS: Plugins[type[Transform]] = Plugins(
    "augmentation",
    {
        "corner_crop": "flowstream.dataset.augmentations.corner_crop:CornerCrop",
        "random_crop": "flowstream.dataset.augmentations.random_crop:RandomCrop",
        "resized_crop": "flowstream.dataset.augmentations.resized_crop:ResizedCrop",
        "horizontal_flip": "flowstream.dataset.augmentations.flips:HorizontalFlip",
        "vertical_flip": "flowstream.dataset.augmentations.flips:VerticalFlip",
        "colour_jitter": "flowstream.dataset.augmentations.colour_jitter:ColourJitter",
    },
)
"""Augmentations by name. Those with a field `size` get the size of the network's input."""

DEFAULT: tuple[Mapping[str, Any], ...] = ({"name": "corner_crop"}, {"name": "horizontal_flip"})
"""Augmentations of TSN (Wang et al. 2016, arXiv:1608.00859, section 3.2)."""


def build_augmentations(tables: Iterable[Mapping[str, Any]], size: Size) -> tuple[Transform, ...]:
    """Build the augmentations of a recipe for networks with inputs of `size`.

    Raises
    ------
    ParameterError
        If a table has no name, an unknown name or an invalid parameter; or if none of the
        augmentations makes clips of the size of the input.
    """
    steps: list[Transform] = []
    for table in tables:
        parameters = {key: value for key, value in table.items() if key != "name"}
        name = table.get("name")
        if name is None:
            raise ParameterError(
                f"augment: got {dict(table)!r}, expected a table with a name; "
                f"known: {', '.join(AUGMENTATIONS)}"
            )
        try:
            kind = AUGMENTATIONS[name]
            if "size" in {field.name for field in dataclasses.fields(kind)}:  # type: ignore[arg-type]
                parameters = {"size": size, **parameters}
            steps.append(build(kind, parameters, where=f"augment: {name}"))
        except (RecipeError, UnknownNameError) as error:
            raise ParameterError(str(error)) from error
    if not any(getattr(step, "size", None) == tuple(size) for step in steps):
        rows, columns = size
        raise ParameterError(
            f"augment: no crop to {columns}x{rows}, the size of the input; add "
            '{ name = "corner_crop" } or another crop'
        )
    return tuple(steps)


__all__ = ["AUGMENTATIONS", "DEFAULT", "build_augmentations"]
