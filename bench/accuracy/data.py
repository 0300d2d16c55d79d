"""What the nets learn from: data that packages ship, split by a seed."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.datasets import (
    Package,
    fetch,
    load_fashion,
    load_mnist,
    load_motion,
    load_spoken_digits,
)
from nanotool.datasets.dataset import Dataset
from nanotool.ir import FloatArray

_TABLES = "sklearn/datasets/data"
_SKLEARN = "1.9.1"
DIGITS = Package(
    registry="PyPI",
    name="scikit-learn",
    version=_SKLEARN,
    members=f"{_TABLES}/digits.csv.gz",
    sha256="09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
)
DIABETES = Package(
    registry="PyPI",
    name="scikit-learn",
    version=_SKLEARN,
    members=f"{_TABLES}/diabetes_*.csv.gz",
    sha256="41f4db25d0c16788823b82430b8dfe015615d4b1ff15c1539d62ed3b967d8789",
)
NOISE = 0.4  # standard deviation of what the denoiser takes away; pixels are 0..1
HISS = 1.0  # likewise of what is added to spoken digits; coefficients have one of 1


@dataclass(frozen=True)
class Split:
    """Training and test part, [n, *shape] each; targets are class numbers or real values."""

    train_x: FloatArray
    train_y: NDArray[Any]
    test_x: FloatArray
    test_y: NDArray[Any]

    @property
    def classes(self) -> bool:
        """Whether the targets are classes."""
        return self.train_y.dtype.kind == "i"


def _of(data: Dataset) -> Split:
    return Split(data.train_x, data.train_y, data.test_x, data.test_y)


def _spoken_digits() -> Split:
    data = _of(load_spoken_digits())
    return Split(data.train_x[:, None], data.train_y, data.test_x[:, None], data.test_y)


def _spoken_in_noise() -> Split:
    data, rng = _spoken_digits(), np.random.default_rng(1)

    def noisy(x: FloatArray) -> FloatArray:
        return (x + HISS * rng.standard_normal(x.shape)).astype(np.float32)

    return replace(data, train_x=noisy(data.train_x), test_x=noisy(data.test_x))


def _motion() -> Split:
    return _of(load_motion()[0].first(100_000, 1000))


def _fashion() -> Split:
    return _of(load_fashion().first(8000, 1000))


def _shuffled(x: FloatArray, y: NDArray[Any], test: int) -> Split:
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    return Split(x[test:], y[test:], x[:test], y[:test])


def _small_digits() -> Split:
    content = gzip.decompress(fetch(DIGITS)[f"{_TABLES}/digits.csv.gz"])
    rows = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.float32)
    images = rows[:, :-1].reshape(-1, 1, 8, 8) / 16
    return _shuffled(images.astype(np.float32), rows[:, -1].astype(np.int64), 450)


def _noisy() -> Split:
    data = load_mnist().first(4000, 300)
    rng = np.random.default_rng(0)

    def noisy(x: FloatArray) -> FloatArray:
        return (x + NOISE * rng.standard_normal(x.shape)).astype(np.float32)

    return Split(noisy(data.train_x), data.train_x, noisy(data.test_x), data.test_x)


def _diabetes() -> Split:
    files = fetch(DIABETES)
    names = ("diabetes_data_raw", "diabetes_target")
    tables = [
        np.loadtxt(io.BytesIO(gzip.decompress(files[f"{_TABLES}/{name}.csv.gz"])), ndmin=2)
        for name in names
    ]
    x, y = ((table - table.mean(axis=0)) / table.std(axis=0) for table in tables)
    return _shuffled(x.astype(np.float32), y.astype(np.float32), 100)


DATA: Mapping[str, Callable[[], Split]] = MappingProxyType(
    {
        "spoken digits": _spoken_digits,
        "spoken digits in noise": _spoken_in_noise,
        "motion": _motion,
        "fashion": _fashion,
        "small digits": _small_digits,
        "noisy digits": _noisy,
        "diabetes": _diabetes,
    }
)
