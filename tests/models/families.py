"""Backbones that stand for all others in tests."""

from __future__ import annotations

FAMILIES = (
    "small_cnn",
    "efficientnet_lite0",
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "vgg11_bn",
)
"""The smallest member of each family; names, stems, heads and pools differ between families."""
