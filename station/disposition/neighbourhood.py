"""Good dies that lie among bad ones: what a defect of the wafer has spared may not last."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from station.disposition.outliers import Found
from station.disposition.parts import Parts
from station.disposition.rules import Clusters, Neighbours

WEIGHTS = np.array([[1.0, 2.0, 1.0], [2.0, 0.0, 2.0], [1.0, 2.0, 1.0]])
"""Of a bad neighbour: 2 at an edge, 1 at a corner; 12 in all."""
MOST = 12.0
TOUCHING = np.ones((3, 3), np.int64)


def neighbours(parts: Parts, rule: Neighbours) -> Iterator[Found]:
    """Yield good dies whose neighbours are bad: measured bad ones only, one pass."""
    for wafer, of in parts.wafers().items():
        present, bad = _planes(parts, of, rule.bad)
        score = scores(present, bad, rule.edge)
        rows, columns = parts.grid(of)
        for at, row, column in zip(of, rows, columns, strict=True):
            if parts.good[at] and score[row, column] >= rule.threshold:
                yield int(at), f"score {score[row, column]:g} of {MOST:g} on wafer {wafer}"


def scores(present: NDArray[np.bool_], bad: NDArray[np.bool_], edge: str) -> NDArray[np.float64]:
    """Return the weight of the bad neighbours of each cell of a grid."""
    seeds = bad | ~present if edge == "bad" else bad
    outside = 1.0 if edge == "bad" else 0.0
    found = ndimage.convolve(seeds.astype(np.float64), WEIGHTS, mode="constant", cval=outside)
    if edge == "scale":
        there = ndimage.convolve(present.astype(np.float64), WEIGHTS, mode="constant", cval=0.0)
        found = np.where(there > 0, found * MOST / np.maximum(there, 1.0), 0.0)
    return np.asarray(found, np.float64)


def clusters(parts: Parts, rule: Clusters) -> Iterator[Found]:
    """Yield good dies in the ring around bad ones that hang together."""
    for wafer, of in parts.wafers().items():
        _, bad = _planes(parts, of, rule.bad)
        ring, sizes = rings(bad, rule.least, rule.dilate)
        rows, columns = parts.grid(of)
        for at, row, column in zip(of, rows, columns, strict=True):
            if parts.good[at] and ring[row, column]:
                size = sizes[ring[row, column]]
                yield int(at), f"beside a cluster of {size} bad dies on wafer {wafer}"


def rings(bad: NDArray[np.bool_], least: int, dilate: int) -> tuple[NDArray[np.int64], dict[int, int]]:
    """Return the label of the cluster that a cell is in or beside, 0 for none, and the size of each."""
    labels, count = ndimage.label(bad, structure=TOUCHING)
    sizes = {label: int(np.sum(labels == label)) for label in range(1, count + 1)}
    large = {label: size for label, size in sizes.items() if size >= least}
    found = np.zeros(bad.shape, np.int64)
    for label in large:
        cells = labels == label
        grown = ndimage.binary_dilation(cells, TOUCHING, dilate) if dilate else cells
        found[np.logical_and(grown, found == 0)] = label
    return found, large


def _planes(
    parts: Parts, of: NDArray[np.int64], bins: tuple[int, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where dies are, and where those lie that were measured as bad."""
    rows, columns = parts.grid(of)
    present = np.zeros((rows.max() + 1, columns.max() + 1), np.bool_)
    bad = present.copy()
    present[rows, columns] = True
    bad[rows, columns] = np.isin(parts.bins[of], list(bins or parts.failing)) & ~parts.good[of]
    return present, bad
