"""Names of the images in directories of raw frames."""

from __future__ import annotations

import re

NUMBERED = r"(img|image|flow_x|flow_y|x|y)_(\d+)\.(jpg|jpeg|png)"
"""Regular expression of a name: kind, number, suffix."""

_NUMBERED = re.compile(NUMBERED, re.IGNORECASE)


def match_name(name: str) -> re.Match[str] | None:
    """Return the kind and number in the name of an image; None for other files."""
    return _NUMBERED.fullmatch(name)


def has_both_components(names: list[str]) -> bool:
    """Return True if there are flow images of x and of y among the names of a directory."""
    kinds = {match[1].lower()[-1] for name in names if (match := match_name(name))}
    return {"x", "y"} <= kinds
