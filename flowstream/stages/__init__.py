"""Stages of a recipe in their order, for the command line and the pipelines."""

from __future__ import annotations

from flowstream.extract import ExtractRecipe
from flowstream.stages.recipe import FusionRecipe, Recipe
from flowstream.stages.training import (
    Result,
    extract_flow,
    prepare,
    run_stages,
    train_checked,
    train_streams,
)

__all__ = [
    "ExtractRecipe",
    "FusionRecipe",
    "Recipe",
    "Result",
    "extract_flow",
    "prepare",
    "run_stages",
    "train_checked",
    "train_streams",
]
