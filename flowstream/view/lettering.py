"""Text in pictures, with the typeface that Pillow brings where it has the letters."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flowstream.escapes import escape_controls
from flowstream.types import Images

INK = (28, 32, 36)
SOFT = (96, 102, 109)


_FALLBACKS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "msgothic.ttc",
)
"""Files of typefaces for the letters that Pillow's own lacks, which has ASCII only."""

# Code point of private use, which no typeface draws: its picture is that of a missing letter.
_MISSING = "\ue123"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def _open_font(height: int, name: str = "") -> Font | None:
    if not name:
        return ImageFont.load_default(height)
    try:
        return ImageFont.truetype(name, height)
    except OSError:
        return None


@cache
def _has_letter(name: str, letter: str) -> bool:
    font = _open_font(16, name)
    if font is None:
        return False
    pictures = [font.getmask(one) for one in (letter, _MISSING)]
    return pictures[0].size != pictures[1].size or bytes(pictures[0]) != bytes(pictures[1])


def _choose_font(text: str, height: int) -> tuple[str, Font]:
    """Return a text without control characters, and a typeface that has all its letters.

    Where the system has none, accents are dropped and other missing letters become `?`.
    """
    text = escape_controls(text)
    for name in ("", *_FALLBACKS):
        font = _open_font(height, name)
        if font is not None and all(_has_letter(name, letter) for letter in text):
            return text, font
    font = _open_font(height)
    assert font is not None, "Pillow brings a typeface"
    plain = "".join(map(_simplify, text))
    return plain, font


def _simplify(letter: str) -> str:
    if _has_letter("", letter):
        return letter
    parts = unicodedata.normalize("NFKD", letter)
    kept = "".join(part for part in parts if _has_letter("", part))
    return "" if unicodedata.combining(letter) else kept or "?"


def measure_text(text: str, *, height: int = 13) -> int:
    """Return the width of a text in pixels."""
    text, font = _choose_font(text, height)
    return int(np.ceil(font.getlength(text)))


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
    text, font = _choose_font(text, height)
    draw.text(place, text, fill=colour, font=font, anchor=anchor)
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
