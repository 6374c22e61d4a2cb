"""Interpolation between measured points of a family, apart from what they mean.

Returned are weights of measured points, not a value: the same weights serve the time and its uncertainty. Tried in
this order: the point itself; the points that share a coordinate with the query, one dimension less; the rectangular
cell around it (multilinear); the simplex of the Delaunay triangulation around it (barycentric), on the line or plane
where the points lie on one. Nothing is extrapolated.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, ...]
Weights = dict[Point, float]

_SLACK = 1e-9


def weights_at(points: Collection[Point], query: Point) -> Weights | None:
    """Weights (positive, sum 1) of the points whose weighted mean is the query; None outside their hull."""
    if query in points:
        return {query: 1.0}
    if not points:
        return None
    return _sharing(points, query) or _multilinear(points, query) or _barycentric(points, query)


def _sharing(points: Collection[Point], query: Point) -> Weights | None:
    for axis in range(len(query)) if len(query) > 1 else ():
        level = {point[:axis] + point[axis + 1 :]: point for point in points if point[axis] == query[axis]}
        found = weights_at(level, query[:axis] + query[axis + 1 :]) if len(level) > 1 else None
        if found is not None:
            return {level[point]: weight for point, weight in found.items()}
    return None


def _multilinear(points: Collection[Point], query: Point) -> Weights | None:
    sides: list[list[tuple[float, float]]] = []
    for axis, at in enumerate(query):
        values = {point[axis] for point in points}
        low = max((value for value in values if value <= at), default=None)
        high = min((value for value in values if value >= at), default=None)
        if low is None or high is None:
            return None
        share = (at - low) / (high - low) if high > low else 0.0
        sides.append([(low, 1 - share), (high, share)] if high > low else [(low, 1.0)])
    weights = {
        tuple(value for value, _ in corner): float(np.prod([share for _, share in corner]))
        for corner in itertools.product(*sides)
    }
    return weights if all(corner in points for corner in weights) else None


def _barycentric(points: Collection[Point], query: Point) -> Weights | None:
    ordered = sorted(points)
    scale = np.maximum(np.ptp(np.array(ordered), axis=0), 1.0)
    places = np.array(ordered) / scale
    target = np.array(query) / scale
    origin = places[0]
    _, lengths, axes = np.linalg.svd(places - origin)
    rank = int((lengths > _SLACK * max(1.0, lengths.max(initial=0.0))).sum())
    basis = axes[:rank]
    off = target - origin
    if rank == 0 or np.linalg.norm(off - basis.T @ (basis @ off)) > 1e-6:
        return None
    flat, at = (places - origin) @ basis.T, basis @ off
    simplex = _on_line(flat[:, 0], float(at[0])) if rank == 1 else _in_simplex(flat, at)
    if simplex is None:
        return None
    total = sum(max(0.0, share) for _, share in simplex)
    return {ordered[index]: share / total for index, share in simplex if share > _SLACK}


def _on_line(places: NDArray[np.float64], at: float) -> list[tuple[int, float]] | None:
    order = np.argsort(places)
    sorted_places = places[order]
    right = int(np.searchsorted(sorted_places, at))
    if right == 0 or right == len(places):
        return None
    low, high = sorted_places[right - 1], sorted_places[right]
    share = (at - low) / (high - low)
    return [(int(order[right - 1]), 1 - share), (int(order[right]), share)]


def _in_simplex(places: NDArray[np.float64], at: NDArray[np.float64]) -> list[tuple[int, float]] | None:
    from scipy.spatial import Delaunay, QhullError

    try:
        mesh = Delaunay(places)
    except QhullError:
        return None
    index = int(mesh.find_simplex(at))
    if index < 0:
        return None
    transform = mesh.transform[index]
    shares = transform[:-1] @ (at - transform[-1])
    return [
        (int(vertex), float(share))
        for vertex, share in zip(mesh.simplices[index], [*shares, 1 - shares.sum()], strict=True)
    ]
