"""Textures as sums of plane waves, which are known exactly at every point of the plane.

An affine motion turns each plane wave into another one. A moved texture is therefore evaluated and
never resampled: the ground truth of a motion is exact, and there is no border. Rounding to 8 bits,
half a level, is the only error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError
from flowstream.types import Images, Size

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Texture:
    """Smooth, stationary random field over the plane.

    Its phases are uniform, so that all windows have the same distribution.
    """

    waves: Floats
    """(K, 2): angular frequencies along x and y, radians per pixel."""
    phases: Floats
    """(K,), radians."""
    amplitudes: Floats
    """(K,), grey levels."""

    def sample(
        self, size: Size, *, matrix: Floats | None = None, shift: Floats | None = None
    ) -> Floats:
        """Return the values at `matrix` (x, y) + `shift` for each pixel (x, y) of a `size` grid.

        Returns
        -------
        (H, W), float64
            Grey levels around zero; their standard deviation is the contrast of the texture.
        """
        waves = self.waves if matrix is None else self.waves @ matrix
        phases = self.phases if shift is None else self.phases + self.waves @ shift
        # cos(ax + by + c) = Re(e^i(by + c) e^iax): one matrix product for all pixels and waves
        down = np.exp(1j * (np.outer(np.arange(size[0]), waves[:, 1]) + phases))
        across = np.exp(1j * np.outer(waves[:, 0], np.arange(size[1])))
        values = (down.real * self.amplitudes) @ across.real
        values -= (down.imag * self.amplitudes) @ across.imag
        return np.asarray(values, np.float64)


def random_texture(
    generator: np.random.Generator,
    *,
    contrast: float = 40.0,
    finest: float = 6.0,
    coarsest: float = 64.0,
    count: int = 96,
) -> Texture:
    """Draw a texture of plane waves in all directions, with wavelengths spread over octaves.

    Parameters
    ----------
    generator : numpy.random.Generator
    contrast : float
        Standard deviation, grey levels.
    finest, coarsest : float
        Wavelengths in pixels. The amplitude grows with the square root of the wavelength, which
        gives a spectrum between white noise and natural images. The fine detail of natural images
        is so weak that a pyramid would lose it.
    count : int
        Number of waves.
    """
    if not (contrast >= 0 and 2 < finest <= coarsest and count >= 1):
        raise ParameterError(
            f"texture: got contrast {contrast}, finest {finest}, coarsest {coarsest}, count "
            f"{count}; expected contrast >= 0, 2 < finest <= coarsest, count >= 1"
        )
    lengths = np.exp(generator.uniform(np.log(finest), np.log(coarsest), count))
    angles = generator.uniform(0, 2 * np.pi, count)
    waves = (2 * np.pi / lengths)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    amplitudes = np.sqrt(lengths)
    # a wave of amplitude a has variance a²/2
    amplitudes *= contrast / np.sqrt((amplitudes**2).sum() / 2)
    return Texture(waves, generator.uniform(0, 2 * np.pi, count), amplitudes)


def texture(
    size: Size,
    *,
    seed: int,
    contrast: float = 40.0,
    finest: float = 6.0,
    coarsest: float = 64.0,
) -> Images:
    """Return a smooth broadband image, (H, W) uint8, around mid-grey; see `random_texture`."""
    drawn = random_texture(
        np.random.default_rng(seed), contrast=contrast, finest=finest, coarsest=coarsest
    )
    return to_levels(drawn.sample(size) + 128)


def to_levels(values: Floats) -> Images:
    """Round to grey levels; values outside 0 to 255 are clipped."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
