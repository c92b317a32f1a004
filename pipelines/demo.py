"""Run all stages on rendered actions or on the user's own videos.

python pipelines/demo.py [path/to/class/tree]
"""

from __future__ import annotations

from pathlib import Path

import click

from flowstream.cli import Program
from flowstream.cli.show import show
from flowstream.cli.train import describe
from flowstream.recipe import load_recipe
from flowstream.recipes import recipe_path
from flowstream.report.measures import grouped_accuracy
from flowstream.scores import read_scores
from flowstream.stages import Recipe, run_stages
from flowstream.synthetic import write_action_set


@click.command(cls=Program)
@click.argument("videos", required=False, type=click.Path(exists=True, path_type=Path))
@click.pass_context
def main(context: click.Context, videos: Path | None) -> None:
    """Run all stages on VIDEOS (one directory per class) or on rendered videos.

    The results are written to demo/.
    """
    settings: tuple[str, ...] = ()
    if videos:
        out = Path("demo") / videos.resolve().name
        settings = (f"out={out.as_posix()!r}", f"extract.sources=[{str(videos)!r}]")
    recipe = load_recipe(
        recipe_path("folder" if videos else "demo"),
        Recipe,
        settings=settings,
    )
    if not videos and not (recipe.out / "videos" / "manifest.csv").exists():
        write_action_set(recipe.out / "videos", test=20)
    result = run_stages(recipe)
    stacks = sorted(recipe.stack_directory.rglob("*.h5"))
    shown = tuple(stacks[:: max(1, len(stacks) // 8)][:8])
    context.invoke(show, paths=shown, sheet=recipe.out / "pictures" / "sheet.png")
    click.echo(describe(result))
    if not videos:
        click.echo(ceilings(recipe.out))


def ceilings(out: Path) -> str:
    """Return the highest possible and the reached accuracy of each stream as text.

    The names of the classes are HUE_DIRECTION.
    """
    spatial, temporal = (read_scores(out / name / "scores.npz") for name in ("spatial", "temporal"))
    hues, ways = zip(*(name.split("_", 1) for name in spatial.classes), strict=True)
    hue, way = grouped_accuracy(spatial, hues), grouped_accuracy(temporal, ways)
    return (
        f"\nspatial can reach 1/{len(set(ways))} = {1 / len(set(ways)):.3f}: hue known in {hue:.0%}"
        f"\ntemporal can reach 1/{len(set(hues))} = {1 / len(set(hues)):.3f}: motion in {way:.0%}"
        "\nfused can reach 1"
    )


if __name__ == "__main__":
    main()
