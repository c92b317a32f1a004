"""Text in pictures: every name leaves readable letters, not the boxes of missing ones."""

from __future__ import annotations

import numpy as np
import pytest

from flowstream.view import lettering
from flowstream.view.lettering import draw_text, fit_text, measure_text


def draw(text: str) -> bytes:
    picture = np.full((30, 200, 3), 255, np.uint8)
    draw_text(picture, text, (4, 22), height=16)
    return picture.tobytes()


@pytest.mark.parametrize("name", ["café", "Übung – 2×3", "Ελλάδα"])
def test_letters_beyond_ascii_are_drawn(name: str) -> None:
    assert draw(name) != draw("\ue123" * len(name))
    assert measure_text(name, height=16) > 0


def test_without_other_typefaces_accents_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_FALLBACKS", ())
    assert draw("café") == draw("cafe")
    assert draw("日本") == draw("??")


def test_long_names_are_cut_in_the_middle() -> None:
    cut = fit_text("v_BasketballDunk_g01_c01", 100)
    assert cut.startswith("v_")
    assert cut.endswith("1")
    assert "…" in cut
    assert measure_text(cut) <= 100


def test_control_characters_of_names_are_written_as_escapes() -> None:
    assert draw("a\nb") == draw("a\\nb")
    assert measure_text("a\nb") == measure_text("a\\nb")
