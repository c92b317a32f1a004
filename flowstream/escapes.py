"""Escapes of control characters in text for a terminal."""

from __future__ import annotations


def escape_controls(text: str) -> str:
    r"""Replace control characters and undecodable bytes by visible escapes such as `\x1b`.

    Names of files and classes come from outside; printed as they are, they could move the
    cursor or recolour the terminal. Every text that verbs print passes through here.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
