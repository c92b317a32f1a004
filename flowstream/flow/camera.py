"""Camera motion of a pair: a homography fitted to feature matches and to the flow.

The method is that of improved trajectories (Wang & Schmid 2013) with ORB or SIFT instead of SURF.
Feature matches cover large motions, the flow at textured points gives many precise
correspondences, and a robust fit ignores objects that move independently. `motion.residual` removes
the camera motion from a field.
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
# Limits of the robust fit. It needs only 72 iterations for a confidence of 0.999 if half of the
# matches are correct.
_ITERATIONS = 2000
_CONFIDENCE = 0.999
# Inlier threshold of each refit, in units of the tolerance.
_REACH = (3, 2, 1, 1, 1, 1)
# Largest accepted ratio of the distances of the best and the second-best match; Lowe 2004
# (doi:10.1023/B:VISI.0000029664.99615.94), section 7.1.
_DISTINCT = 0.8
# `_SURPLUS` times `num_features` features are detected; the strongest of each cell of a
# `_CELLS` x `_CELLS` grid are selected.
_SURPLUS, _CELLS = 4, 4


@dataclass(frozen=True, eq=False)
class Camera:
    """Camera motion between two frames.

    Parameters
    ----------
    homography : (3, 3), float64
        Map from pixels (x, y, 1) of the first frame to pixels of the second frame; the last entry
        is 1. It is the identity if the support was insufficient.
    inlier_fraction : float
        Fraction of the correspondences that agree with the homography; 0 if the support was
        insufficient.
    num_matches : int
        Number of correspondences.
    """

    homography: NDArray[np.float64]
    inlier_fraction: float
    num_matches: int


@dataclass(frozen=True)
class Stabiliser:
    """Estimator of camera motion, called as `(first, second, vectors) -> Camera`.

    The result is a static camera if the support is insufficient: there are too few correspondences,
    too few inliers, the inliers cover too small an area (outside of it a homography extrapolates),
    or the fitted homography folds the frame.

    Parameters
    ----------
    features : {"orb", "sift"}
        Type of the features that are matched. SIFT finds more matches under zoom and is about ten
        times slower.
    num_features : int
        Maximum number of features per frame; 0 uses only the flow.
    num_corners : int
        Maximum number of corners (Shi & Tomasi 1994) at which the flow is sampled; 0 uses only the
        feature matches.
    tolerance : float
        Largest distance between a correspondence and the homography, in pixels, for an inlier. The
        default is that of Wang & Schmid.
    min_matches : int
        Minimum number of correspondences. The default is that of Wang & Schmid's code.
    min_inliers : float
        Minimum fraction of inliers among the correspondences. Below 0.4, a different motion may
        have as many inliers.
    min_area : float
        Minimum area of the convex hull of the inliers, as a fraction of the frame's area. The
        default, 0.1, is about a third of each side.

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
                raise ParameterError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if not self.num_features + self.num_corners:
            raise ParameterError(
                "num_features, num_corners: expected at least one above 0, got 0 and 0"
            )
        if not self.tolerance > 0:
            raise ParameterError(f"tolerance: expected more than 0 pixels, got {self.tolerance}")
        if self.min_matches < 4:
            raise ParameterError(
                "min_matches: expected at least 4, because a homography needs 4 points, "
                f"got {self.min_matches}"
            )
        for name in ("min_inliers", "min_area"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name}: expected 0 to 1, got {getattr(self, name)}")

    def __call__(self, first: Images, second: Images, vectors: Vectors) -> Camera:
        """Estimate the camera motion between two frames.

        The result is deterministic: it does not depend on the state of a random generator.

        Parameters
        ----------
        first, second : (H, W), uint8
            Luma.
        vectors : (2, H, W), float32
            Flow from `first` to `second`, in pixels; NaN vectors are ignored.

        Returns
        -------
        Camera

        Raises
        ------
        ShapeError
            If the frames and the field differ in size, or have an invalid shape or dtype.
        """
        check_field(vectors, axes=3)
        for name, frame in (("first", first), ("second", second)):
            if frame.dtype != np.uint8 or frame.shape != vectors.shape[1:]:
                raise ShapeError(
                    f"{name} frame: expected luma of shape {vectors.shape[1:]}, uint8, like the "
                    f"flow; got {frame.shape}, {frame.dtype}"
                )
        pairs = [self._match_features(first, second), self._follow_corners(first, vectors)]
        before, after = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
        return self._fit(before, after, first.shape)

    def _match_features(self, first: Images, second: Images) -> tuple[Points, Points]:
        """Return the positions of matching features in the two frames."""
        none = np.empty((0, 2), np.float32)
        if not self.num_features:
            return none, none
        # OpenCV's type stubs lack these functions
        create = getattr(cv2, f"{self.features.upper()}_create")
        detector = create(nfeatures=_SURPLUS * self.num_features)
        frames = np.ascontiguousarray(first), np.ascontiguousarray(second)
        chosen = _select_per_cell(detector.detect(frames[0]), self.num_features, first.shape)
        # match against all features of the second frame: a selection there would lose partners
        points, descriptors = detector.compute(frames[0], chosen)
        others, other_descriptors = detector.detectAndCompute(frames[1], None)
        # the ratio test needs a second-best match
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
        return _as_points(before), _as_points(after)

    def _follow_corners(self, first: Images, vectors: Vectors) -> tuple[Points, Points]:
        """Return corners of the first frame and the positions to which they move."""
        rows, columns = first.shape
        none = np.empty((0, 2), np.float32)
        if not self.num_corners:
            return none, none
        # two thirds of the spacing of a regular grid with this number of points, because corners
        # are distributed irregularly
        spacing = 0.67 * (rows * columns / self.num_corners) ** 0.5
        corners = cv2.goodFeaturesToTrack(
            np.ascontiguousarray(first), self.num_corners, qualityLevel=0.001, minDistance=spacing
        )
        before = none if corners is None else corners.reshape(-1, 2)
        x, y = before.T.astype(np.intp)  # corners have integer coordinates
        after = before + vectors[:, y, x].T
        # comparisons with NaN are False; the flow of points that leave the frame is a guess
        seen = ((after >= 0) & (after <= (columns - 1, rows - 1))).all(axis=1)
        return before[seen], after[seen].astype(np.float32)

    def _fit(self, before: Points, after: Points, size: tuple[int, ...]) -> Camera:
        static = Camera(np.eye(3), 0.0, len(before))
        if len(before) < self.min_matches:
            return static
        # MAGSAC++ (Barath et al. 2020, arXiv:1912.05909); OpenCV resets its seed at each call.
        # Errors of OpenCV's fits to DIS flow of a pan, zoom or rotation, before refinement:
        # 0.2 px on average and 1.0 px at most with the full tolerance, 0.09 and 0.4 px with half.
        found, _ = cv2.findHomography(
            before, after, cv2.USAC_MAGSAC, self.tolerance / 2, None, _ITERATIONS, _CONFIDENCE
        )
        homography, inliers = self._refine(_as_matrix(found), before, after)
        fraction = float(inliers.mean())
        if fraction < self.min_inliers or not _is_unfolded(homography, size):
            return static
        hull = cv2.contourArea(cv2.convexHull(before[inliers]))
        if hull < self.min_area * size[0] * size[1]:
            return static
        return Camera(homography / homography[2, 2], fraction, len(before))

    def _refine(self, homography: Doubles, before: Points, after: Points) -> tuple[Doubles, Mask]:
        """Refit the homography to its inliers by least squares; return both.

        OpenCV's fit uses few correspondences; this one uses hundreds and is ten times as accurate.
        The first threshold is larger, because OpenCV's fit may have an error of one pixel.
        """
        inliers = _find_inliers(homography, before, after, within=_REACH[0] * self.tolerance)
        for reach in _REACH[1:]:
            if np.count_nonzero(inliers) < self.min_matches:
                return homography, np.zeros(len(before), np.bool_)
            refit, _ = cv2.findHomography(before[inliers], after[inliers], 0)
            homography = _as_matrix(refit)
            inliers = _find_inliers(homography, before, after, within=reach * self.tolerance)
        return homography, inliers


def _find_inliers(homography: Doubles, before: Points, after: Points, *, within: float) -> Mask:
    error = project(homography, before.T.astype(np.float64)) - after.T
    # NaN marks points beyond infinity; comparisons with it are False
    inliers: Mask = np.hypot(*error) <= within
    return inliers


def _select_per_cell(
    points: Sequence[cv2.KeyPoint], count: int, size: tuple[int, ...]
) -> list[cv2.KeyPoint]:
    """Return the strongest points of each cell of the frame, about `count` in total.

    The strongest points of the whole frame often belong to one object, which may move
    independently.
    """
    cells: dict[tuple[int, int], list[cv2.KeyPoint]] = {}
    for point in sorted(points, key=lambda point: -point.response):
        cell = int(point.pt[1] / size[0] * _CELLS), int(point.pt[0] / size[1] * _CELLS)
        cells.setdefault(cell, []).append(point)
    share = -(-count // _CELLS**2)
    return [point for cell in cells.values() for point in cell[:share]]


def _as_matrix(found: object) -> Doubles:
    """Return OpenCV's result as a matrix, or NaN, which has no inliers, for None."""
    matrix = np.full((3, 3), np.nan) if found is None else np.array(found, np.float64)
    return matrix if abs(matrix[2, 2]) > 1e-9 else np.full((3, 3), np.nan)


def _as_points(places: list[tuple[float, float]]) -> Points:
    return np.array(places, np.float32).reshape(-1, 2)


def _is_unfolded(homography: NDArray[np.float64], size: tuple[int, ...]) -> bool:
    """Return True if corners keep their orientation and no pixel moves to infinity."""
    bottom, right = size[0] - 1, size[1] - 1
    corners = np.array([[0, right, right, 0], [0, 0, bottom, bottom]], np.float64)
    moved = project(homography, corners)
    # each corner keeps its direction of rotation; comparisons with NaN are False
    sides = np.roll(moved, -1, axis=1) - moved
    following = np.roll(sides, -1, axis=1)
    turns = sides[0] * following[1] - sides[1] * following[0]
    return bool((turns > 0).all())
