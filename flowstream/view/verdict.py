"""A verdict on the flow of a clip: good, check or bad, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from flowstream.codec.codec import MUCH_BELOW_STEP
from flowstream.view.quality import Quality

CLIPPED = 0.02
"""Fraction of vectors at the codec's bound above which motion is lost."""

INCONSISTENT = 0.5
"""Fraction of consistent pixels below which most of the flow does not return."""

UNEXPLAINED = 0.8
"""Error over the difference of the frames, above which the flow explains little."""

NOISE = 3.0
"""Grey levels of difference between frames that are noise and JPEG, not motion."""

TEXTURE = 0.05
"""Fraction of textured pixels below which there is nothing to follow."""

_ORDER = ("bad", "check", "good")


@dataclass(frozen=True)
class Verdict:
    """Verdict on a clip; `level` is "good", "check" or "bad"."""

    level: str
    reason: str

    @property
    def order(self) -> int:
        """0 for the worst level."""
        return _ORDER.index(self.level)


def judge(quality: Quality, *, below_step: float = 0.0) -> Verdict:
    """Return the first reason for doubt about flow, the most serious first.

    Parameters
    ----------
    quality : Quality
    below_step : float
        Fraction of the moving vectors that the codec stores as zero.
    """
    error, unmoved = quality.error, quality.unmoved
    moves = error is not None and unmoved is not None and unmoved > NOISE
    if moves and error > unmoved:  # type: ignore[operator]
        return Verdict("bad", "warping makes frames less alike")
    if quality.clipped > 5 * CLIPPED:
        return Verdict("bad", f"{quality.clipped:.1%} of the vectors are clipped: raise --bound")
    if quality.consistent is not None and quality.consistent < INCONSISTENT / 2:
        return Verdict("bad", f"only {quality.consistent:.0%} of the pixels are consistent")
    if quality.clipped > CLIPPED:
        return Verdict("check", f"{quality.clipped:.1%} of the vectors are clipped: raise --bound")
    if below_step > MUCH_BELOW_STEP:
        return Verdict(
            "check", f"{below_step:.0%} of the motion is below the codec's step: use fixed16"
        )
    if quality.consistent is not None and quality.consistent < INCONSISTENT:
        return Verdict("check", f"only {quality.consistent:.0%} of the pixels are consistent")
    if moves and error > UNEXPLAINED * unmoved:  # type: ignore[operator]
        share = 1 - error / unmoved  # type: ignore[operator]
        return Verdict("check", f"the flow explains {share:.0%} of the change between frames")
    if quality.textured is not None and quality.textured < TEXTURE:
        return Verdict("check", f"only {quality.textured:.0%} of the pixels have texture")
    if error is None and quality.consistent is None:
        return Verdict("check", "no frames and no backward flow to check with")
    return Verdict("good", "")
