"""What of a pair's motion is the camera's: a homography from matches and from the flow itself.

As in improved trajectories (Wang & Schmid 2013), without SURF: matches of ORB or SIFT features find
large motions, the flow at textured points gives many precise ones, and a robust fit leaves out what
moves by itself. `motion.residual` takes the camera's motion out of a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ShapeError
from flowstream.flow.motion import check_field
from flowstream.flow.motion.checks import check_choice
from flowstream.flow.motion.homography import project
from flowstream.types import Images, Vectors

Features = Literal["orb", "sift"]
Points = NDArray[np.float32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

_NORMS = {"orb": cv2.NORM_HAMMING, "sift": cv2.NORM_L2}
# Of the fit: many more than it needs at half of the matches right (72 for a confidence of 0.999).
_ITERATIONS = 2000
_CONFIDENCE = 0.999
# What agrees, in tolerances, from one refit to the next; the last is the tolerance itself.
_REACH = (3, 2, 1, 1, 1, 1)
# How much nearer than the second best a match must be; Lowe 2004 (doi:10.1023/B:VISI.0000029664.
# 99615.94), section 7.1.
_DISTINCT = 0.8
# Features are chosen from so many times as many, evenly over cells, so many along each side.
_SURPLUS, _CELLS = 4, 4


@dataclass(frozen=True, eq=False)
class Camera:
    """The camera's motion between two frames.

    Parameters
    ----------
    homography : (3, 3), float64
        From pixels (x, y, 1) of the first frame to pixels of the second, last entry 1. The identity
        where support was thin.
    inlier_fraction : float
        Share of the correspondences that move with it; 0 where support was thin.
    num_matches : int
        How many correspondences there were.
    """

    homography: NDArray[np.float64]
    inlier_fraction: float
    num_matches: int


@dataclass(frozen=True)
class Stabiliser:
    """How the camera's motion is estimated; called `(first, second, vectors) -> Camera`.

    Where support is thin the camera is taken to stand still: too few correspondences, too few of
    them agreeing, these all in one part of the frame (beyond them a homography extrapolates), or a
    fit that folds the frame.

    Parameters
    ----------
    features : "orb" or "sift"
        What is matched between the frames. SIFT finds more under zoom and is some ten times slower.
    num_features : int
        How many of them a frame at most; 0: the flow alone.
    num_corners : int
        At how many corners (Shi & Tomasi 1994) the flow is sampled, at most; 0: matches alone.
    tolerance : float
        Pixels by which a correspondence may miss the homography; 1 is Wang & Schmid's.
    min_matches : int
        Fewer correspondences are thin support; 50 is Wang & Schmid's, in their code.
    min_inliers : float
        A smaller share of them that agree is thin support. 0.4: less than that, and another motion
        may have as many.
    min_area : float
        Of the frame's area, what the hull of those that agree must cover. A tenth: a third of each
        side, from which a homography is continued to the rest.

    References
    ----------
    H. Wang, C. Schmid, "Action Recognition with Improved Trajectories", ICCV 2013, section 3.
    doi:10.1109/ICCV.2013.441
    """

    name: ClassVar[str] = "homography"

    features: Features = "orb"
    num_features: int = 500
    num_corners: int = 1000
    tolerance: float = 1.0
    min_matches: int = 50
    min_inliers: float = 0.4
    min_area: float = 0.1

    def __post_init__(self) -> None:
        check_choice("features", self.features, get_args(Features))
        for name in ("num_features", "num_corners"):
            if getattr(self, name) < 0:
                raise ParameterError(f"{name}: got {getattr(self, name)}, expected 0 or more")
        if not self.num_features + self.num_corners:
            raise ParameterError("num_features, num_corners: got 0 and 0, expected one above 0")
        if not self.tolerance > 0:
            raise ParameterError(f"tolerance: got {self.tolerance}, expected pixels, above 0")
        if self.min_matches < 4:
            raise ParameterError(
                f"min_matches: got {self.min_matches}, expected at least 4: a homography needs them"
            )
        for name in ("min_inliers", "min_area"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name}: got {getattr(self, name)}, expected 0 to 1")

    def __call__(self, first: Images, second: Images, vectors: Vectors) -> Camera:
        """Estimate the camera's motion between two frames.

        The same frames and field give the same result, whatever was drawn at random before.

        Parameters
        ----------
        first, second : (H, W), uint8
            Luma.
        vectors : (2, H, W), float32
            The flow from first to second, pixels; where it is NaN it is not used.

        Returns
        -------
        Camera

        Raises
        ------
        ShapeError
            If these are not two frames and a field of one size.
        """
        check_field(vectors, axes=3)
        for name, frame in (("first", first), ("second", second)):
            if frame.dtype != np.uint8 or frame.shape != vectors.shape[1:]:
                raise ShapeError(
                    f"{name} frame: got {frame.shape} {frame.dtype}, expected "
                    f"{vectors.shape[1:]} uint8 as the flow: luma"
                )
        pairs = [self._matched(first, second), self._carried(first, vectors)]
        before, after = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
        return self._fitted(before, after, first.shape)

    def _matched(self, first: Images, second: Images) -> tuple[Points, Points]:
        """Features that are each other's nearest in the two frames."""
        none = np.empty((0, 2), np.float32)
        if not self.num_features:
            return none, none
        # OpenCV's stubs lack what it makes at run time
        create = getattr(cv2, f"{self.features.upper()}_create")
        detector = create(nfeatures=_SURPLUS * self.num_features)
        frames = np.ascontiguousarray(first), np.ascontiguousarray(second)
        chosen = _spread(detector.detect(frames[0]), self.num_features, first.shape)
        # against all in the second frame: another choice there would leave partners out
        points, descriptors = detector.compute(frames[0], chosen)
        others, other_descriptors = detector.detectAndCompute(frames[1], None)
        # two to choose from, or there is no second best
        if not points or len(others) < 2:
            return none, none
        matcher = cv2.BFMatcher(_NORMS[self.features])
        matches = [
            best
            for best, second_best in matcher.knnMatch(descriptors, other_descriptors, k=2)
            if best.distance < _DISTINCT * second_best.distance
        ]
        before = [points[match.queryIdx].pt for match in matches]
        after = [others[match.trainIdx].pt for match in matches]
        return _points(before), _points(after)

    def _carried(self, first: Images, vectors: Vectors) -> tuple[Points, Points]:
        """Corners of the first frame, spread over it, and where the flow takes them."""
        rows, columns = first.shape
        none = np.empty((0, 2), np.float32)
        if not self.num_corners:
            return none, none
        # about as far apart as so many points are on a grid, less a third: corners are not on one
        apart = 0.67 * (rows * columns / self.num_corners) ** 0.5
        corners = cv2.goodFeaturesToTrack(
            np.ascontiguousarray(first), self.num_corners, qualityLevel=0.001, minDistance=apart
        )
        before = none if corners is None else corners.reshape(-1, 2)
        x, y = before.T.astype(np.intp)  # corners are whole pixels
        after = before + vectors[:, y, x].T
        # written so that NaN is left out; what leaves the frame is guessed, not seen
        seen = ((after >= 0) & (after <= (columns - 1, rows - 1))).all(axis=1)
        return before[seen], after[seen].astype(np.float32)

    def _fitted(self, before: Points, after: Points, size: tuple[int, ...]) -> Camera:
        still = Camera(np.eye(3), 0.0, len(before))
        if len(before) < self.min_matches:
            return still
        # MAGSAC++ (Barath et al. 2020, arXiv:1912.05909); OpenCV seeds it anew at each call. Half
        # of the tolerance: with all of it, OpenCV's fits to DIS flow of a pan, zoom or turn were
        # 0.2 px off on average and 1.0 at worst, with half 0.09 and 0.4, before they are refined.
        found, _ = cv2.findHomography(
            before, after, cv2.USAC_MAGSAC, self.tolerance / 2, None, _ITERATIONS, _CONFIDENCE
        )
        homography, agreeing = self._refined(_matrix(found), before, after)
        fraction = float(agreeing.mean())
        if fraction < self.min_inliers or not _unfolded(homography, size):
            return still
        hull = cv2.contourArea(cv2.convexHull(before[agreeing]))
        if hull < self.min_area * size[0] * size[1]:
            return still
        return Camera(homography / homography[2, 2], fraction, len(before))

    def _refined(self, homography: Doubles, before: Points, after: Points) -> tuple[Doubles, Mask]:
        """The least-squares fit of all that agree with it, and which do.

        OpenCV's fit rests on a few correspondences; this one, of hundreds, is ten times closer. It
        starts from what agrees within some tolerances, for that fit may be a pixel off.
        """
        agreeing = _agreeing(homography, before, after, within=_REACH[0] * self.tolerance)
        for reach in _REACH[1:]:
            if np.count_nonzero(agreeing) < self.min_matches:
                return homography, np.zeros(len(before), np.bool_)
            refit, _ = cv2.findHomography(before[agreeing], after[agreeing], 0)
            homography = _matrix(refit)
            agreeing = _agreeing(homography, before, after, within=reach * self.tolerance)
        return homography, agreeing


def _agreeing(homography: Doubles, before: Points, after: Points, *, within: float) -> Mask:
    missed = project(homography, before.T.astype(np.float64)) - after.T
    # NaN, beyond infinity, is not below anything
    agreeing: Mask = np.hypot(*missed) <= within
    return agreeing


def _spread(
    points: Sequence[cv2.KeyPoint], count: int, size: tuple[int, ...]
) -> list[cv2.KeyPoint]:
    """The strongest points of each cell of the frame, about `count` in all.

    The strongest of the whole frame would often all lie on one thing, which may move by itself.
    """
    cells: dict[tuple[int, int], list[cv2.KeyPoint]] = {}
    for point in sorted(points, key=lambda point: -point.response):
        cell = int(point.pt[1] / size[0] * _CELLS), int(point.pt[0] / size[1] * _CELLS)
        cells.setdefault(cell, []).append(point)
    share = -(-count // _CELLS**2)
    return [point for cell in cells.values() for point in cell[:share]]


def _matrix(found: object) -> Doubles:
    """What OpenCV found as a matrix; NaN where it found none, with which nothing agrees."""
    matrix = np.full((3, 3), np.nan) if found is None else np.array(found, np.float64)
    return matrix if abs(matrix[2, 2]) > 1e-9 else np.full((3, 3), np.nan)


def _points(places: list[tuple[float, float]]) -> Points:
    return np.array(places, np.float32).reshape(-1, 2)


def _unfolded(homography: NDArray[np.float64], size: tuple[int, ...]) -> bool:
    """Whether the frame's corners stay in order, and nothing of it comes to lie at infinity."""
    bottom, right = size[0] - 1, size[1] - 1
    corners = np.array([[0, right, right, 0], [0, 0, bottom, bottom]], np.float64)
    moved = project(homography, corners)
    # each corner turns the same way as before; a comparison with NaN is False
    sides = np.roll(moved, -1, axis=1) - moved
    following = np.roll(sides, -1, axis=1)
    turns = sides[0] * following[1] - sides[1] * following[0]
    return bool((turns > 0).all())
