"""Pictures for terminals: half blocks, sixel, kitty graphics and arrows of characters."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flowstream.types import Images, Vectors
from flowstream.view.resizing import fit_columns, resize_picture

_UPPER_HALF = "▀"
_ARROWS = "→↘↓↙←↖↑↗"
# four, because / and \ would each stand for two opposite directions
_ASCII_ARROWS = ">v<^"
_CHUNK = 4096

STILL = 0.1
"""Share of the scale below which a cell of the characters is a dot."""


def half_blocks(picture: Images, columns: int, *, depth: int) -> str:
    """Return a picture as lines of half blocks, two pixels per character.

    Parameters
    ----------
    picture : (H, W, 3), uint8
        RGB.
    columns : int
        Characters in a line.
    depth : {24, 8}
        Bits of a colour: 24 (true colour) or 8 (the 256 colours of xterm).
    """
    # two rows of pixels in each line of characters, which are twice as high as wide
    rows = 2 * max(1, round(fit_columns(picture, columns)[0] / 2))
    small = resize_picture(picture, (rows, columns), enlarge="pixels")
    write = _true_colour if depth == 24 else _xterm_colour
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        cells, previous = [], ""
        for above, below in zip(upper, lower, strict=True):
            code = f"\x1b[{write(38, above)};{write(48, below)}m"
            # the colours stay until they change, so repeating them only costs bytes
            cells.append((code if code != previous else "") + _UPPER_HALF)
            previous = code
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


def _true_colour(kind: int, pixel: NDArray[np.uint8]) -> str:
    red, green, blue = pixel.tolist()
    return f"{kind};2;{red};{green};{blue}"


def _xterm_colour(kind: int, pixel: NDArray[np.uint8]) -> str:
    """Return the nearest of the 6x6x6 cube and the 24 greys."""
    values = pixel.astype(int)
    levels = np.array([0, 95, 135, 175, 215, 255])
    cube = np.abs(values[:, None] - levels).argmin(axis=1)
    grey = int(np.clip(round((values.mean() - 8) / 10), 0, 23))
    cube_error = int(np.square(levels[cube] - values).sum())
    if int(np.square(8 + 10 * grey - values).sum()) < cube_error:
        return f"{kind};5;{232 + grey}"
    return f"{kind};5;{16 + 36 * cube[0] + 6 * cube[1] + cube[2]}"


def sixel(picture: Images) -> str:
    """Return a picture as sixel graphics with 255 colours."""
    # 255, because the decoder of xterm counts its background as one of 256. An octree, because the
    # median cut turns small saturated areas grey, which are those that move
    image = Image.fromarray(picture).quantize(255, method=Image.Quantize.FASTOCTREE)
    indices = np.asarray(image)
    palette = np.array(image.getpalette() or [], int).reshape(-1, 3)
    rows, columns = indices.shape
    head = f'\x1bPq"1;1;{columns};{rows}'
    colours = "".join(
        f"#{index};2;{red * 100 // 255};{green * 100 // 255};{blue * 100 // 255}"
        for index, (red, green, blue) in enumerate(palette)
    )
    bands = "-".join("$".join(_sixel_band(indices[top : top + 6])) for top in range(0, rows, 6))
    return f"{head}{colours}{bands}\x1b\\"


def _sixel_band(band: NDArray[np.uint8]) -> Iterator[str]:
    """Yield, for each colour of six rows, its number and its run-length coded columns."""
    weights = 1 << np.arange(len(band))
    for colour in np.unique(band):
        bits = ((band == colour) * weights[:, None]).sum(axis=0)
        ends = np.flatnonzero(np.diff(bits, append=-1)) + 1
        starts = np.concatenate([[0], ends[:-1]])
        runs = [
            f"!{stop - start}{chr(63 + bits[start])}"
            if stop - start > 3
            else chr(63 + bits[start]) * (stop - start)
            for start, stop in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        yield f"#{colour}{''.join(runs)}"


def kitty(picture: Images) -> str:
    """Return a picture as kitty graphics: PNG in chunks of 4096 characters."""
    target = BytesIO()
    Image.fromarray(picture).save(target, format="PNG")
    data = base64.standard_b64encode(target.getvalue()).decode("ascii")
    parts = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    return "".join(
        f"\x1b_G{'a=T,f=100,' if index == 0 else ''}m={int(index < len(parts) - 1)};{part}\x1b\\"
        for index, part in enumerate(parts)
    )


def arrows(vectors: Vectors, columns: int, *, scale: float, unicode: bool = True) -> str:
    """Return a field as lines of arrows, one for the mean of each cell.

    Parameters
    ----------
    vectors : (2, H, W), float32
        All known.
    columns : int
        Characters in a line.
    scale : float
        Cells slower than `STILL` of it are drawn as a dot.
    unicode : bool
        Use real arrows instead of `>`, `v`, `<` and `^`.
    """
    rows, wide = vectors.shape[1:]
    # a character is twice as high as it is wide; with a space between arrows, cells are square
    across = max(1, columns // 2)
    down = max(1, round(across * rows / wide))
    cells = [cv2.resize(plane, (across, down), interpolation=cv2.INTER_AREA) for plane in vectors]
    known = np.array(list(_ARROWS if unicode else _ASCII_ARROWS))
    turns = np.arctan2(cells[1], cells[0]) / (2 * np.pi)
    letters = known[np.rint(turns * len(known)).astype(int) % len(known)]
    still = np.hypot(*cells) < STILL * scale
    letters[still] = "·" if unicode else "."
    return "\n".join(" ".join(row) for row in letters)
