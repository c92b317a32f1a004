"""Text in pictures, with the typeface that Pillow brings."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flowstream.types import Images

INK = (28, 32, 36)
SOFT = (96, 102, 109)


@cache
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)


def measure_text(text: str, *, height: int = 13) -> int:
    """Return the width of a text in pixels."""
    return int(np.ceil(_font(height).getlength(text)))


def draw_text(
    picture: Images,
    text: str,
    place: tuple[int, int],
    *,
    height: int = 13,
    colour: tuple[int, int, int] = INK,
    anchor: str = "ls",
) -> None:
    """Draw text into a picture, in place.

    Parameters
    ----------
    picture : (H, W, 3), uint8
        RGB; it is modified.
    text : str
    place : (x, y)
        Of the anchor.
    height : int
        Size of the typeface in pixels.
    colour : (red, green, blue)
    anchor : str
        As Pillow names it: "ls" is the left end of the baseline, "mm" the middle.
    """
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    draw.text(place, text, fill=colour, font=_font(height), anchor=anchor)
    picture[:] = np.asarray(image)


def fit_text(text: str, width: int, *, height: int = 13) -> str:
    """Cut text in the middle so that it fits a width; both ends stay, as they tell names apart."""
    if measure_text(text, height=height) <= width:
        return text
    for removed in range(1, len(text)):
        left = (len(text) - removed + 1) // 2
        cut = f"{text[:left]}…{text[left + removed :]}"
        if measure_text(cut, height=height) <= width:
            return cut
    return ""
