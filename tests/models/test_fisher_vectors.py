"""Fisher vectors: against an oracle, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from flowstream.errors import ParameterError, ShapeError
from flowstream.models import build_model
from flowstream.models.fisher_vectors import FisherVectors, MotionFisher
from flowstream.models.layers.fisher import FisherEncoder

SIZE = (64, 80)


def noise(seed: int, frames: int = 15) -> Tensor:
    """Return a clip (1, 2, T, H, W) of about 4 pixels, smooth enough to have gradients."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(frames, 2, 6, 8, generator=generator)
    fields = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")
    return (0.2 * fields).transpose(0, 1).unsqueeze(0)


@pytest.fixture(scope="module")
def fisher() -> MotionFisher:
    made = MotionFisher(FisherVectors(words=3, block=5), 2)
    made.learn([made.describe_tubes(noise(seed)) for seed in range(4)])
    return made


def test_the_encoder_equals_the_gradients_of_the_log_likelihood() -> None:
    random = np.random.default_rng(0)
    encoder = FisherEncoder(4, 3)
    encoder.learn(random.normal(size=(200, 4)).astype(np.float32))
    encoder = encoder.double()
    points, weights = torch.from_numpy(random.normal(size=(1, 7, 4))), torch.ones(1, 7).double()
    projected = ((points - encoder.mean) @ encoder.projection)[0]
    centres = encoder.centres.clone().requires_grad_()
    deviations = encoder.variances.sqrt().requires_grad_()
    normal = torch.distributions.Normal(centres, deviations)
    densities = normal.log_prob(projected.unsqueeze(1))  # type: ignore[no-untyped-call]
    logs = densities.sum(dim=2) + encoder.shares.log()
    torch.autograd.backward(logs.logsumexp(dim=1).mean())
    assert centres.grad is not None
    assert deviations.grad is not None
    # the Fisher information of a mean is share / variance, that of a deviation twice as much
    unit = deviations.detach() / encoder.shares.sqrt().unsqueeze(1)
    gradient = torch.cat([centres.grad * unit, deviations.grad * unit / 2**0.5], 1)
    expected = (gradient / gradient.norm(dim=1, keepdim=True)).flatten() / 3**0.5
    # 1e-9: float64
    torch.testing.assert_close(encoder(points, weights)[0], expected, atol=1e-9, rtol=0)


def test_descriptors_of_weight_zero_count_for_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(1, 6, 4, generator=generator)
    encoder = FisherEncoder(4, 2)
    weights = torch.tensor([[1.0, 1, 1, 0, 0, 0]])
    torch.testing.assert_close(
        encoder(points, weights), encoder(points[:, :3], torch.ones(1, 3)), atol=1e-6, rtol=0
    )


def test_mirrored_clips_have_the_same_features(fisher: MotionFisher) -> None:
    clip = noise(9)
    mirrored = torch.cat([-clip[:, :1], clip[:, 1:]], dim=1).flip(-1)
    one, two = fisher(clip), fisher(mirrored)
    # cells begin at the left border of both, and the camera is estimated from other pixels; two
    # clips of different motion have 0.6 or less
    assert float((one * two).sum() / 3) > 0.9
    assert float((one * fisher(noise(10))).sum() / 3) < 0.8


def test_the_order_of_runs_does_not_matter_and_that_of_fields_does(fisher: MotionFisher) -> None:
    apart = MotionFisher(FisherVectors(words=3, block=5, run=15), 2)
    apart.load_state_dict(fisher.state_dict())
    first, second = noise(1), noise(2)
    there, back = torch.cat([first, second], 2), torch.cat([second, first], 2)
    torch.testing.assert_close(apart(there), apart(back), atol=1e-5, rtol=0)
    # as one run of 30 fields, the clip has tubes across the border of the two
    assert fisher.describe(fisher.count_cells(there))[1].shape[1] * 2 == (
        apart.describe(apart.count_cells(there))[1].shape[1] * 4
    )
    assert float((fisher(first) - fisher(first.flip(2))).abs().max()) > 1e-3


def test_the_motion_of_the_camera_changes_little(fisher: MotionFisher) -> None:
    clip = noise(3)
    panned = clip + torch.tensor([0.3, -0.2]).view(1, 2, 1, 1, 1)  # 6 and 4 pixels
    # 1e-3 of features up to 1: the camera is estimated by iteration
    torch.testing.assert_close(fisher(clip), fisher(panned), atol=1e-3, rtol=0)


def test_still_clips_have_finite_features_and_kinds_have_length_one(fisher: MotionFisher) -> None:
    assert fisher(torch.zeros(2, 2, 15, *SIZE)).isfinite().all()
    vectors = fisher(noise(5))
    assert float(vectors.square().sum()) == pytest.approx(3.0, abs=1e-4)


def test_the_vocabulary_is_learnt_the_same_each_time(fisher: MotionFisher) -> None:
    other = MotionFisher(FisherVectors(words=3, block=5), 2)
    other.learn([other.describe_tubes(noise(seed)) for seed in range(4)])
    for name, values in other.state_dict().items():
        assert torch.equal(values, fisher.state_dict()[name])


def test_wrong_options_small_clips_and_few_descriptors_are_refused() -> None:
    for wrong in ({"words": 0}, {"block": 0}, {"run": 29}, {"moving": 2.0}, {"still": 0.0}):
        with pytest.raises(ParameterError, match=f"^{next(iter(wrong))}: expected"):
            FisherVectors(**wrong)
    with pytest.raises(ShapeError, match="got 29 frames"):
        build_model("fisher_vectors", channels=2, frames=29, size=SIZE, classes=2)
    with pytest.raises(ParameterError, match="got 30, expected a divisor of 40"):
        build_model("fisher_vectors", channels=2, frames=40, size=SIZE, classes=2, run=30)
    with pytest.raises(ShapeError, match="4 descriptors"):
        FisherEncoder(4, 8).learn(np.zeros((4, 4), np.float32))


def test_the_operations_for_exports_give_the_same_features(
    fisher: MotionFisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = torch.cat([noise(1), noise(2)])
    plain = fisher(clips)
    solved: list[Tensor] = []
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(torch.linalg, "solve", lambda *both: solved.extend(both))
    # elimination without pivots rounds otherwise than LAPACK: 1e-6 of a vector of flow
    torch.testing.assert_close(fisher(clips), plain, atol=1e-4, rtol=0)
    assert not solved
