"""A verdict on the flow of a clip: good, check or bad, with the reason.

The limits were chosen on 116 clips of UCF101 (TV-L1, preset fast, bound 20; docs/look.md has the
distribution) so that no ordinary clip is bad, and on flow that is wrong on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowstream.view.quality import NOISE, USELESS, Quality

CLIPPED = 0.02
"""Fraction of vectors at the codec's bound above which motion is lost."""

MOSTLY_CLIPPED = 1 / 3
"""Fraction of vectors at the bound from which flow is unusable; a fast pan of UCF101 has 0.2."""

BELOW_STEP = 0.6
"""Fraction of the moving vectors stored as zero. A fixed camera has up to 0.58, because its noise
moves vectors by less than the step; subtle motion has 0.7 or more."""

INCONSISTENT = 0.5
"""Fraction of consistent pixels below which most of the flow does not return."""

UNEXPLAINED = 0.8
"""Error over the difference of the frames, above which the flow explains little; moving clips of
UCF101 have 0.17 to 0.66."""

CUTS = 0.1
"""Fraction of useless fields above which a clip has cuts, or flow that is wrong in parts."""

TEXTURE = 0.05
"""Fraction of textured pixels below which there is nothing to follow; UCF101 has 0.13 or more."""

STATIC = 0.01
"""Difference of the frames in grey levels below which they are copies of one image."""

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
    for level, find in (("bad", _find_fault), ("check", _find_doubt)):
        reason = find(quality, below_step)
        if reason:
            return Verdict(level, reason)
    return Verdict("good", "")


def _find_fault(quality: Quality, below_step: float) -> str:
    """Return why the flow cannot be used, or an empty string."""
    ratio = _compute_ratio(quality)
    if ratio > 1:
        return "warping makes frames less alike"
    if ratio > USELESS:
        return f"the flow explains {1 - ratio:.0%} of the change between frames"
    if quality.useless > 0.5:
        return f"{quality.useless:.0%} of the fields explain nothing of the change"
    if quality.clipped > MOSTLY_CLIPPED:
        return f"{quality.clipped:.1%} of the vectors are clipped: raise --bound"
    if quality.consistent is not None and quality.consistent < INCONSISTENT / 2:
        return f"only {quality.consistent:.0%} of the pixels are consistent"
    return ""


def _find_doubt(quality: Quality, below_step: float) -> str:
    """Return why somebody should look at the flow, or an empty string."""
    ratio = _compute_ratio(quality)
    consistent, textured = quality.consistent, quality.textured
    if quality.clipped > CLIPPED:
        return f"{quality.clipped:.1%} of the vectors are clipped: raise --bound"
    if below_step > BELOW_STEP:
        return f"{below_step:.0%} of the motion is below the codec's step: use fixed16"
    if consistent is not None and consistent < INCONSISTENT:
        return f"only {consistent:.0%} of the pixels are consistent"
    if ratio > UNEXPLAINED:
        return f"the flow explains {1 - ratio:.0%} of the change between frames"
    if quality.useless > CUTS:
        return f"{quality.useless:.0%} of the fields explain nothing of the change: cuts?"
    if textured is not None and textured < TEXTURE:
        return f"only {textured:.0%} of the pixels have texture"
    if quality.unmoved is not None and quality.unmoved < STATIC:
        return "the frames do not change"
    if quality.error is None and consistent is None:
        return "no frames and no backward flow to check with"
    return ""


def _compute_ratio(quality: Quality) -> float:
    """Return the error over the difference without motion; 0 where frames hardly differ."""
    error, unmoved = quality.error, quality.unmoved
    if error is None or unmoved is None or unmoved <= NOISE:
        return 0.0
    return error / unmoved
