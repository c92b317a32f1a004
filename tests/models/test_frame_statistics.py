"""Frame statistics: what the features of a clip are, and that nothing before the head learns."""

from __future__ import annotations

import torch

from flowstream.models.frame_statistics import FrameStatistics, StatisticsClassifier
from flowstream.models.model import ClipShape


def build(channels: int = 3, *, mirror: bool = False) -> StatisticsClassifier:
    torch.manual_seed(0)
    model = FrameStatistics(backbone="small_cnn", pretrained=False, mirror=mirror)
    return model.build(ClipShape(channels, 4, 24, 32), 3).eval()


def test_features_are_mean_and_deviation_of_those_of_the_frames_at_length_one() -> None:
    network, clips = build(), torch.rand(2, 3, 4, 24, 32)
    frames = torch.stack([network.maps(clips[:, :, t]).mean(dim=(2, 3)) for t in range(4)], dim=1)
    expected = torch.cat([frames.mean(dim=1), frames.std(dim=1, correction=0)], dim=1)
    expected = expected / expected.norm(dim=1, keepdim=True)
    # 1e-4: the deviation of nearly equal features loses digits
    assert torch.allclose(network.features(clips)[:, 0], expected, atol=1e-4)


def test_mirrored_clips_have_the_same_features() -> None:
    rgb, flow = torch.rand(1, 3, 4, 24, 32), torch.randn(1, 2, 4, 24, 32)
    assert torch.allclose(
        build(mirror=True).features(rgb), build(mirror=True).features(rgb.flip(-1)), atol=1e-5
    )
    mirrored = torch.cat([-flow[:, :1], flow[:, 1:]], dim=1).flip(-1)
    network = build(2, mirror=True)
    assert torch.allclose(network.features(flow), network.features(mirrored), atol=1e-5)
    assert not torch.allclose(network.features(flow), network.features(flow.flip(-1)), atol=1e-5)


def test_a_still_clip_has_no_deviation() -> None:
    network = build()
    still = torch.rand(1, 3, 1, 24, 32).expand(1, 3, 4, 24, 32)
    deviation = network.features(still)[0, 0].chunk(2)[1]
    assert float(deviation.detach().max()) < 1e-3


def test_a_pretrained_network_is_frozen_but_for_the_linear_layer() -> None:
    network = FrameStatistics().build(ClipShape(3, 2, 32, 32), 3).train()
    trained = [name for name, value in network.named_parameters() if value.requires_grad]
    assert trained == ["linear.weight", "linear.bias"]
    assert not any(part.training for part in network.maps.modules())


def test_a_frozen_network_gives_the_same_features_in_parts_and_is_exported_for_any_batch() -> None:
    network, clips = build(), torch.rand(3, 3, 4, 24, 32)
    with torch.no_grad():
        whole = network.features(clips)
        network.freeze()
        torch.testing.assert_close(network.features(clips), whole, atol=1e-5, rtol=1e-4)
        batch = torch.export.Dim("batch")
        exported = torch.export.export(network, (clips,), dynamic_shapes=({0: batch},))
        torch.testing.assert_close(exported.module()(clips[:2]), network(clips[:2]))
