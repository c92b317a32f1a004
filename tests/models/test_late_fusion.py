"""Late fusion: features of each frame, flattened for an MLP or averaged."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from flowstream.errors import ParameterError
from flowstream.models import build_model
from flowstream.models.backbones import BACKBONES
from flowstream.models.backbones.frame_features import FrameFeatures
from flowstream.models.late_fusion_fc import LateFusionFC
from flowstream.models.layers.feature_maps import make_map_network
from tests.models.families import FAMILIES

CLASSIFIERS = ("classifier", "fc", "_fc")


@pytest.mark.parametrize("backbone", ["tiny_cnn", *FAMILIES])
def test_feature_maps_are_the_input_of_the_pool_and_the_classifier(backbone: str) -> None:
    family = BACKBONES[backbone](backbone)
    torch.manual_seed(0)
    network = family.build(False).eval()
    side = max(64, family.min_side)
    images = torch.randn(2, 3, side, side)
    seen: list[Tensor] = []
    (classifier,) = (part for name, part in network.named_children() if name in CLASSIFIERS)
    classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        network(images)
        maps = make_map_network(network)(images)
    features = seen[0].flatten(1)
    # alexnet and vgg keep several places of their maps
    places = round((features.shape[1] / maps.shape[1]) ** 0.5)
    pooled = functional.adaptive_avg_pool2d(maps, places).flatten(1)
    # 1e-4 of the largest: float32 means, in another order
    torch.testing.assert_close(pooled, features, rtol=0, atol=1e-4 * float(features.abs().max()))


def test_a_network_without_convolutions_before_its_classifier_is_refused() -> None:
    with pytest.raises(ParameterError, match="expected a convolution"):
        make_map_network(nn.Sequential(nn.Flatten(), nn.Linear(3, 4)))


def build(name: str) -> FrameFeatures:
    torch.manual_seed(0)
    network = build_model(
        name, channels=3, frames=4, size=(16, 20), classes=5, backbone="small_cnn", pretrained=False
    )
    assert isinstance(network, FrameFeatures)
    return network.eval()


def clips() -> Tensor:
    return torch.randn(2, 3, 4, 16, 20, generator=torch.Generator().manual_seed(1))


def test_the_vector_of_late_fusion_fc_has_the_length_tdhw() -> None:
    network = build("late_fusion_fc")
    first = next(part for part in network.classifier if isinstance(part, nn.Linear))
    # small_cnn: 64 maps, halved twice
    assert first.in_features == 4 * 64 * 4 * 5


def test_late_fusion_pool_averages_features_over_space_and_time() -> None:
    network = build("late_fusion_pool")
    frames = clips().transpose(1, 2).flatten(0, 1)
    features = network.maps(frames).mean(dim=(2, 3)).reshape(2, 4, 64).mean(dim=1)
    last = next(part for part in network.classifier if isinstance(part, nn.Linear))
    # 1e-6: one mean against two
    torch.testing.assert_close(network(clips()), last(features), atol=1e-6, rtol=1e-5)


def test_late_fusion_pool_ignores_the_order_and_late_fusion_fc_does_not() -> None:
    order = torch.tensor([2, 0, 3, 1])
    pool, fc = build("late_fusion_pool"), build("late_fusion_fc")
    # 1e-6: a mean in another order
    torch.testing.assert_close(pool(clips()[:, :, order]), pool(clips()), atol=1e-6, rtol=1e-5)
    assert (fc(clips()[:, :, order]) - fc(clips())).abs().max() > 1e-3


def test_a_hidden_layer_without_units_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"hidden: .*got 0"):
        LateFusionFC(hidden=0)
