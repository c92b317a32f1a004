"""Training: it learns, it can be stopped, and it ends the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from flowstream.dataset.split import Split
from flowstream.errors import CheckpointError, ParameterError, SplitError
from flowstream.train import fit as loop
from flowstream.train.batches import Batch
from flowstream.train.checkpoint import Checkpoint, load_checkpoint
from flowstream.train.evaluation import Evaluation
from flowstream.train.fit import fit, train_step
from flowstream.train.recipe import StreamRecipe
from flowstream.train.run import start_run

Recipes = Callable[..., StreamRecipe]


def train(recipe: StreamRecipe, split: Split, out: Path) -> Checkpoint:
    fit(recipe, split, out, device="cpu", progress=False)
    return load_checkpoint(out / "last.pt")


def history(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    assert checkpoint.resume is not None
    return [
        {key: value for key, value in row.items() if not key.endswith("seconds")}
        for row in checkpoint.resume["history"]
    ]


def batch(values: torch.Tensor, labels: torch.Tensor) -> Batch:
    return Batch({"flow": values}, labels, torch.arange(len(labels)))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_a_stream_learns_what_it_can_see(
    stream: str, split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    best = fit(recipe(stream, epochs=8), split, tmp_path, device="cpu", progress=False)
    measures = load_checkpoint(best).measures
    # The classes differ in the mean colour, and in the direction of 3 px of motion under noise of
    # 1 px: there is nothing to mistake. Chance is 0.5.
    assert measures["validation_top1"] == 1.0
    assert (measures["validation_loss"] or 9) < 0.5


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_an_interrupted_run_ends_with_the_same_weights(
    optimiser: str,
    split: Split,
    recipe: Recipes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = recipe(optimiser=optimiser, epochs=4, learning_rate=0.01)
    whole = train(plain, split, tmp_path / "whole")

    steps = 0

    def killed_in_the_third_epoch(*args: Any, **settings: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 2 * 3 + 2:  # three steps an epoch
            raise KeyboardInterrupt
        return train_step(*args, **settings)

    monkeypatch.setattr(loop, "train_step", killed_in_the_third_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(plain, split, tmp_path / "stopped")
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "stopped" / "last.pt").epoch == 2
    torch.manual_seed(77)  # the state of the caller's generator must not matter
    again = train(plain, split, tmp_path / "stopped")

    assert again.identity == whole.identity
    assert same(dict(again.weights), dict(whole.weights))
    assert history(again) == history(whole)
    assert again.resume is not None
    assert whole.resume is not None
    assert same(again.resume["optimiser"], whole.resume["optimiser"])
    best = [load_checkpoint(tmp_path / run / "best.pt") for run in ("whole", "stopped")]
    assert best[0].identity == best[1].identity


# Python 3.12 on warns of every fork beside threads; torch forks its workers by default.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_reading_with_workers_changes_nothing(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    alone = train(recipe(epochs=1, workers=0), split, tmp_path / "alone")
    helped = train(recipe(epochs=1, workers=2), split, tmp_path / "helped")
    assert helped.identity == alone.identity


def test_another_seed_gives_another_network(split: Split, recipe: Recipes, tmp_path: Path) -> None:
    one = train(recipe(epochs=1), split, tmp_path / "one")
    other = train(recipe(epochs=1, seed=1), split, tmp_path / "other")
    assert not same(dict(one.weights), dict(other.weights))


def test_a_finished_run_is_not_trained_again(
    split: Split, recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit(recipe(epochs=1), split, tmp_path, device="cpu", progress=False)
    monkeypatch.setattr(loop, "train_step", None)
    assert fit(recipe(epochs=1), split, tmp_path, device="cpu", progress=False) == first


def test_a_folder_with_a_run_of_another_recipe_is_refused(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    train(recipe(epochs=2), split, tmp_path)
    with pytest.raises(CheckpointError, match=r"another recipe \(batch 4, now 8\)"):
        train(recipe(epochs=2, batch=8), split, tmp_path)
    with pytest.raises(CheckpointError, match=r"another recipe \(epochs 2, now 1\)"):
        train(recipe(epochs=1), split, tmp_path)


def test_more_epochs_continue_a_finished_run(split: Split, recipe: Recipes, tmp_path: Path) -> None:
    before = history(train(recipe(epochs=1), split, tmp_path))
    after = train(recipe(epochs=3), split, tmp_path)
    assert after.epoch == 3
    assert after.recipe.epochs == 3
    assert history(after)[:1] == before


def test_another_protocol_belongs_to_the_same_run(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    one = train(recipe(epochs=1), split, tmp_path)
    other = recipe(epochs=1, evaluation=Evaluation(segments=3, crops=1))
    assert train(other, split, tmp_path).identity == one.identity


def test_a_folder_with_a_run_on_other_videos_is_refused(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    train(recipe(epochs=1), split, tmp_path)
    with pytest.raises(CheckpointError, match="other videos"):
        train(recipe(epochs=1), replace(split, train=split.train[:-1]), tmp_path)


def test_a_folder_with_a_run_on_other_flow_is_refused(
    split: Split, other_split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    train(recipe(epochs=1), split, tmp_path)
    with pytest.raises(CheckpointError, match=r"stacks: 'unknown', training: 'known'.*--retrain"):
        train(recipe(epochs=1), other_split, tmp_path)


def test_validation_on_other_flow_than_training_is_refused(
    split: Split, other_split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    mixed = replace(split, validation=other_split.validation)
    with pytest.raises(CheckpointError, match=r"validation videos.*method.name"):
        train(recipe(epochs=1), mixed, tmp_path)


def test_the_best_epoch_is_kept(
    split: Split, recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([(0.9, 0.5), (0.8, 0.75), (0.3, 0.5), (0.7, 0.75), (0.7, 0.75)])
    monkeypatch.setattr(loop, "validate", lambda *_: next(measured))
    best = fit(recipe(epochs=5), split, tmp_path, device="cpu", progress=False)
    # top-1 first, then the lower loss, then the earlier
    assert load_checkpoint(best).epoch == 4


def test_several_segments_are_averaged_before_the_loss(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    plain = recipe(epochs=1, segments=3, learning_rate=1e-9)
    run = start_run(plain, split, tmp_path, device=torch.device("cpu"))
    run.model.eval()
    values, labels = torch.randn(2, 3, 2, 4, 16, 16), torch.tensor([0, 1])
    with torch.no_grad():
        expected = torch.stack([run.model(clips) for clips in values]).mean(dim=1)
    loss, right = train_step(run, [batch(values, labels)], rate=1e-9)
    assert right == int((expected.argmax(dim=1) == labels).sum())
    # 1e-5: batches of 6 and of 3 clips sum in another order
    assert loss == pytest.approx(
        float(torch.nn.functional.cross_entropy(expected, labels)), abs=1e-5
    )
    assert train(plain, split, tmp_path / "run").epoch == 1


def test_the_gradient_is_clipped_to_its_norm(split: Split, recipe: Recipes, tmp_path: Path) -> None:
    plain = recipe(optimiser="sgd", clip_gradient=1e-3, momentum=0.0, weight_decay=0.0)
    run = start_run(plain, split, tmp_path, device=torch.device("cpu"))
    before = [value.detach().clone() for value in run.model.parameters()]
    train_step(run, [batch(torch.randn(2, 2, 4, 16, 16), torch.tensor([0, 1]))], rate=1.0)
    with torch.no_grad():
        pairs = zip(run.model.parameters(), before, strict=True)
        moved = torch.cat([(new - old).flatten() for new, old in pairs])
    # a step of plain SGD at rate 1 is the gradient; float32 differences of weights of size 1
    assert float(moved.norm()) == pytest.approx(1e-3, rel=1e-2)


def test_scaling_the_loss_for_half_precision_changes_no_step(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    plain = recipe(optimiser="sgd", clip_gradient=0.1)
    runs = [start_run(plain, split, tmp_path, device=torch.device("cpu")) for _ in range(2)]
    runs[1].scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    generator = torch.Generator().manual_seed(0)
    values, labels = torch.randn(4, 2, 4, 16, 16, generator=generator), torch.tensor([0, 1, 0, 1])
    for run in runs:
        torch.manual_seed(0)
        train_step(run, [batch(values, labels)], rate=0.1)
    # a power of two in and out again, and the rounding of the norm: 1e-6 of weights of size 1
    for one, other in zip(*(run.model.parameters() for run in runs), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_progress_goes_to_stderr(
    split: Split, recipe: Recipes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowstream.progress.LOG_SECONDS", 0.0)
        fit(recipe(epochs=1), split, tmp_path, device="cpu", progress=True)
    out, err = capfd.readouterr()
    assert (out, "flow: 1 of 1 epochs" in err) == ("", True)


def test_a_loss_that_is_not_finite_stops_training_with_advice(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    wild = recipe(learning_rate=1e30, warm_up=0.0, clip_gradient=None)
    with pytest.raises(ParameterError, match=r"learning_rate: the loss became .* Lower the rate"):
        train(wild, split, tmp_path)


def test_training_without_videos_is_refused(split: Split, recipe: Recipes, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="no videos"):
        train(recipe(), replace(split, train=()), tmp_path)


def test_a_folder_that_cannot_be_written_is_one_clear_error(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write"):
        train(recipe(epochs=1), split, tmp_path / "file" / "run")


def test_a_run_without_its_best_checkpoint_cannot_continue(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    train(recipe(epochs=1), split, tmp_path)
    (tmp_path / "best.pt").unlink()
    with pytest.raises(CheckpointError, match="cannot be continued"):
        train(recipe(epochs=1), split, tmp_path)


def test_training_leaves_the_callers_random_numbers(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(recipe(epochs=1), split, tmp_path)
    assert torch.equal(torch.rand(3), expected)
