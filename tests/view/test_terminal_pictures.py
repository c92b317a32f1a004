"""Pictures for terminals, read back by small independent decoders of each protocol."""

from __future__ import annotations

import base64
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from flowstream.types import Images
from flowstream.view import ansi

PICTURE: Images = np.random.default_rng(3).integers(0, 256, (14, 20, 3)).astype(np.uint8)


def decode_sixel(text: str) -> Images:
    """Return the picture of sixel data, by the manual of the VT330."""
    head = re.match(r'\x1bPq"1;1;(\d+);(\d+)', text)
    assert head is not None
    assert text.endswith("\x1b\\")
    columns, rows = int(head[1]), int(head[2])
    picture = np.zeros((rows + 6, columns, 3), np.uint8)
    colours: dict[int, list[int]] = {}
    current = x = y = 0
    tokens = re.finditer(
        r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|([$-])", text[head.end() : -2]
    )
    for token in tokens:
        if token[1]:
            colours[int(token[1])] = [round(int(token[i]) * 2.55) for i in (2, 3, 4)]
        elif token[5]:
            current = int(token[5])
        elif token[9]:
            x, y = 0, y + 6 * (token[9] == "-")
        else:
            count, letter = (int(token[6]), token[7]) if token[6] else (1, token[8])
            for bit in range(6):
                if (ord(letter) - 63) >> bit & 1:
                    picture[y + bit, x : x + count] = colours[current]
            x += count
    return picture[:rows]


def test_sixel_gives_the_picture_back_to_its_palette() -> None:
    few = PICTURE // 128 * 128  # 8 colours: the palette holds them all
    found = decode_sixel(ansi.sixel(few))
    # colours are in percent: off by 1.3 levels at most
    assert np.abs(found.astype(int) - few).max() <= 3


def test_kitty_sends_a_png_in_chunks() -> None:
    large = np.random.default_rng(1).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", ansi.kitty(large))
    assert chunks[0][0] == "a=T,f=100,m=1"
    assert {keys for keys, _ in chunks[1:-1]} <= {"m=1"}
    assert chunks[-1][0] == "m=0"
    assert max(len(data) for _, data in chunks) <= 4096
    image = Image.open(BytesIO(base64.b64decode("".join(data for _, data in chunks))))
    assert np.array_equal(np.asarray(image), large)


def test_half_blocks_show_two_rows_a_line() -> None:
    lines = ansi.half_blocks(PICTURE, 20, depth=24).splitlines()
    assert len(lines) == 7
    for row, line in enumerate(lines):
        assert line.endswith("\x1b[0m")
        assert line.count("▀") == 20
        red, green, blue = PICTURE[2 * row, 0]
        assert line.startswith(f"\x1b[38;2;{red};{green};{blue};48;2;")


@pytest.mark.parametrize(
    ("colour", "index"),
    [((0, 0, 0), 16), ((255, 255, 255), 231), ((255, 0, 0), 196), ((128, 128, 128), 244)],
)
def test_xterm_colours_are_the_nearest(colour: tuple[int, int, int], index: int) -> None:
    picture = np.full((2, 1, 3), colour, np.uint8)
    assert ansi.half_blocks(picture, 1, depth=8).startswith(f"\x1b[38;5;{index};48;5;{index}m")


@pytest.mark.parametrize(
    ("vector", "letter", "plain"),
    [
        ((3, 0), "→", ">"),
        ((0, 3), "↓", "v"),
        ((-3, -1), "←", "<"),
        ((-2, -3), "↖", "^"),
        ((0, 0), "·", "."),
    ],
)
def test_arrows_point_where_the_flow_goes(vector: tuple[int, int], letter: str, plain: str) -> None:
    field = np.empty((2, 20, 30), np.float32)
    field[0], field[1] = vector
    for unicode, expected in ((True, letter), (False, plain)):
        text = ansi.arrows(field, 30, scale=3.0, unicode=unicode)
        assert set(text) == {expected, " ", "\n"}
