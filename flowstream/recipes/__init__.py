"""The recipes that are installed with flowstream, found by name.

A recipe is one TOML file in this directory. Its first line is its title.
"""

from __future__ import annotations

from pathlib import Path

from flowstream.errors import RecipeError, did_you_mean

DIRECTORY = Path(__file__).resolve().parent


def recipe_names() -> tuple[str, ...]:
    """Return the names of the shipped recipes, sorted."""
    return tuple(sorted(path.stem for path in DIRECTORY.glob("*.toml")))


def recipe_path(name: str) -> Path:
    """Return the file of a shipped recipe.

    Raises
    ------
    RecipeError
        If no shipped recipe has that name.
    """
    names = recipe_names()
    if name not in names:
        raise RecipeError(
            f"unknown recipe {name!r}; known: {', '.join(names)}.{did_you_mean(name, names)}"
        )
    return DIRECTORY / f"{name}.toml"


def recipe_title(name: str) -> str:
    """Return the first line of a shipped recipe, without its comment sign."""
    with recipe_path(name).open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").rstrip()


def find_recipe(text: str) -> Path:
    """Return the path of an existing recipe file, or of the shipped recipe with this name.

    Raises
    ------
    RecipeError
        If there is no such file or recipe.
    """
    path = Path(text)
    if path.is_file() or path.suffix == ".toml" or len(path.parts) > 1:
        if not path.is_file():
            raise RecipeError(
                f"{path}: no such recipe file; shipped recipes: {', '.join(recipe_names())}"
            )
        return path
    return recipe_path(text)
