"""Scores of anomalies in NumPy: the twin of lib/nano/src/train/anomaly.c, integer by integer."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Int8Array

Scores: TypeAlias = NDArray[np.int64]

LEAST_VARIANCE = 256  # of a feature, in 1/256: that of its own grid step
MOST_OF_FEATURE = 131071  # that one feature adds to a Gaussian's score
_BLOCK = 1 << 22  # numbers that are held at once


def squared_distances(x: Int8Array, known: Int8Array) -> Scores:
    """Of every row of ``x`` [n, features] from every row of ``known`` [m, features]: [n, m]."""
    rows = max(1, _BLOCK // max(1, known.size))
    parts = [
        ((x[at : at + rows, None].astype(np.int64) - known[None]) ** 2).sum(axis=2)
        for at in range(0, len(x), rows)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(known)), np.int64)


def nearest_scores(x: Int8Array, known: Int8Array) -> Scores:
    """Of every row of ``x``, the squared distance from the nearest of ``known``."""
    return np.asarray(squared_distances(x, known).min(axis=1), np.int64)


def gaussian_scores(x: Int8Array, known: Int8Array) -> Scores:
    """Of every row of ``x``, by the mean and the variance that each feature has in ``known``, two
    rows or more."""
    count, wide = len(known), known.astype(np.int64)
    sums, squares = wide.sum(axis=0), (wide**2).sum(axis=0)
    half = np.sign(sums) * (count // 2)
    means = np.sign(sums) * (np.abs(16 * sums + half) // count)
    variances = 256 * (count * squares - sums**2) // count**2
    weights = np.minimum((1 << 24) // np.maximum(variances, LEAST_VARIANCE), 65535)
    each = ((16 * x.astype(np.int64) - means) ** 2 * weights) >> 20
    return np.asarray(np.minimum(each, MOST_OF_FEATURE).sum(axis=1), np.int64)


def between_recordings(known: Int8Array, recordings: NDArray[np.integer]) -> Scores:
    """Of every row of ``known``, the squared distance from the nearest one of another recording;
    there are two recordings or more."""
    distances = squared_distances(known, known)
    distances[recordings[:, None] == recordings[None]] = np.iinfo(np.int64).max
    return np.asarray(distances.min(axis=1), np.int64)


def threshold_of(distances: Scores, quantile: int, margin: int) -> int:
    """The least of ``distances`` that ``quantile`` per mille of them do not exceed, times
    ``margin`` per mille: nano_train_calibrate()."""
    place = (len(distances) * quantile + 999) // 1000 - 1
    return min(int(np.sort(distances)[place]) * margin // 1000, 2**32 - 2)


def voted(anomalous: NDArray[np.bool_], needed: int, window: int) -> NDArray[np.bool_]:
    """Whether each score of a recording, in their order, ends in an alarm: ``needed`` of the last
    ``window`` were anomalous."""
    sums = np.concatenate([[0], np.cumsum(anomalous)])
    ends = np.arange(1, len(anomalous) + 1)
    return np.asarray(sums[ends] - sums[np.maximum(0, ends - window)] >= needed, np.bool_)
