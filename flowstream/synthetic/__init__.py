"""Synthetic frames, motions and videos whose ground truth is known from analysis."""

from __future__ import annotations

from flowstream.synthetic.actions import HUES, MOTIONS, write_action_set
from flowstream.synthetic.files import write_video
from flowstream.synthetic.motion import affine, layers, pan, rotation, zoom
from flowstream.synthetic.texture import texture

__all__ = [
    "HUES",
    "MOTIONS",
    "affine",
    "layers",
    "pan",
    "rotation",
    "texture",
    "write_action_set",
    "write_video",
    "zoom",
]
