"""Capabilities of the terminal: graphics, colours, or characters only."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

from flowstream.cli.text import colour_is_wanted

if TYPE_CHECKING:
    from flowstream.types import Images, Vectors

KINDS = ("auto", "kitty", "sixel", "truecolour", "256", "arrows")
"""Kinds of drawing in a terminal, from the finest to the coarsest."""

_WIDEST = 120
_REPLY_SECONDS = 0.2
# One character cell of common terminals, in pixels; graphics are scaled to whole cells by it.
_CELL_PIXELS = 8


def choose_kind() -> str:
    """Return the best kind of drawing that the terminal is known to support.

    A pipe, `NO_COLOR` and a dumb terminal get arrows of characters.
    """
    if not colour_is_wanted():
        return "arrows"
    term, program = os.environ.get("TERM", ""), os.environ.get("TERM_PROGRAM", "")
    multiplexed = "TMUX" in os.environ or term.startswith(("screen", "tmux"))
    if not multiplexed and ("kitty" in term or program in ("ghostty", "WezTerm")):
        return "kitty"
    if _has_sixel():
        return "sixel"
    if os.environ.get("COLORTERM", "") in ("truecolor", "24bit") or "direct" in term:
        return "truecolour"
    return "256" if "256color" in term or multiplexed else "arrows"


def draw(kind: str, picture: Images, vectors: Vectors, *, scale: float) -> str:
    """Format a field for the terminal: its picture, or arrows if colour is not supported."""
    from flowstream.view import ansi
    from flowstream.view.resizing import fit_columns, resize_picture

    size = shutil.get_terminal_size()
    # the caption and the prompt take three lines
    high = max(4, size.lines - 4)
    columns = int(min(size.columns, _WIDEST, 2 * high * picture.shape[1] / picture.shape[0]))
    if kind in ("kitty", "sixel"):
        wide = resize_picture(
            picture, fit_columns(picture, columns * _CELL_PIXELS), enlarge="pixels"
        )
        return ansi.kitty(wide) if kind == "kitty" else ansi.sixel(wide)
    if kind in ("truecolour", "256"):
        return ansi.half_blocks(picture, columns, depth=24 if kind == "truecolour" else 8)
    encoding = (sys.stdout.encoding or "").lower()
    return ansi.arrows(vectors, columns, scale=scale, unicode=encoding.startswith("utf"))


def _has_sixel() -> bool:
    """Return True if the terminal reports attribute 4, sixel; False if it does not answer."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        import select
        import termios
        import tty
    except ImportError:  # not available on Windows
        return False
    descriptor = sys.stdin.fileno()
    with contextlib.suppress(termios.error, OSError):
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor)
            os.write(sys.stdout.fileno(), b"\x1b[c")
            reply = b""
            while not reply.endswith(b"c"):
                if not select.select([descriptor], [], [], _REPLY_SECONDS)[0]:
                    break
                reply += os.read(descriptor, 64)
        finally:
            termios.tcsetattr(descriptor, termios.TCSANOW, before)
        return b"4" in reply.strip(b"\x1b[?c").split(b";")[1:]
    return False
