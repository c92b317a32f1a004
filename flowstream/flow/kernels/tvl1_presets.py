"""The presets of TV-L1, and what its parameters may be."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

Preset = Literal["default", "fast", "accurate", "opencv"]
Scheme = Literal["joint", "separate"]
Gradients = Literal["blended", "second"]
Outside = Literal["ignored", "black"]
Alignment = Literal["sizes", "factor"]
Engine = Literal["auto", "numba", "torch"]

# How each number was chosen: on pairs with exact truth (layered scenes with affine and non-rigid
# motion, occlusion, changes of light), on one of KITTI and on real clips against RAFT; the
# Middlebury pairs only confirmed. `opencv` is cv2.optflow.DualTVL1OpticalFlow's own defaults.
_DEFAULT: dict[str, Any] = {
    "scheme": "joint",
    "attachment": 0.15,
    "tightness": 0.5,
    "time_step": 0.125,
    "warps": 5,
    "finest_warps": 2,
    "outer_iterations": 1,
    "inner_iterations": 20,
    "tolerance": 0.0,
    "pyramid_factor": 0.5,
    "levels": "auto",
    "smoothing": 0.6,
    "alignment": "sizes",
    "median_filter": 5,
    "weighted_median": 0,
    "weighted_levels": 0,
    "weighted_warps": 0,
    "edge_contrast": 12.0,
    "texture": 0.9,
    "texture_iterations": 30,
    "gradients": "blended",
    "outside": "ignored",
    "cubic": -0.75,
}
PRESETS: dict[Preset, dict[str, Any]] = {
    "default": _DEFAULT,
    "fast": {**_DEFAULT, "finest_warps": 1, "texture_iterations": 20},
    "accurate": {
        **_DEFAULT,
        "finest_warps": 5,
        "inner_iterations": 30,
        "pyramid_factor": 0.7,
        "weighted_median": 11,
        "weighted_levels": 2,
        "weighted_warps": 2,
        "texture_iterations": 40,
    },
    "opencv": {
        "scheme": "separate",
        "attachment": 0.15,
        "tightness": 0.3,
        "time_step": 0.25,
        "warps": 5,
        "finest_warps": 5,
        "outer_iterations": 10,
        "inner_iterations": 30,
        "tolerance": 0.01,
        "pyramid_factor": 0.8,
        "levels": 5,
        "smoothing": 0.0,
        "alignment": "factor",
        "median_filter": 5,
        "weighted_median": 0,
        "weighted_levels": 0,
        "weighted_warps": 0,
        "edge_contrast": 0.0,
        "texture": 0.0,
        "texture_iterations": 0,
        "gradients": "second",
        "outside": "black",
        "cubic": -0.75,
    },
}

CHOICES: dict[str, tuple[Any, ...]] = {
    "preset": get_args(Preset),
    "scheme": get_args(Scheme),
    "alignment": get_args(Alignment),
    "gradients": get_args(Gradients),
    "outside": get_args(Outside),
    "engine": get_args(Engine),
    "median_filter": (0, 5),
    "weighted_median": (0, 3, 5, 7, 9, 11),
}
RANGES: dict[str, tuple[float, float]] = {
    "attachment": (1e-6, 1e6),
    "tightness": (1e-6, 1e6),
    "time_step": (1e-6, 0.25),
    "warps": (1, 1000),
    "finest_warps": (1, 1000),
    "outer_iterations": (1, 1000),
    "inner_iterations": (1, 1000),
    "tolerance": (0, math.inf),
    "pyramid_factor": (0.5, 0.95),
    "smoothing": (0, 0.9),
    "weighted_levels": (0, 1000),
    "weighted_warps": (0, 1000),
    "edge_contrast": (0, 1e6),
    "texture": (0, 1),
    "texture_iterations": (0, 10000),
    "cubic": (-1, 0),
    "threads": (0, 1024),
}
