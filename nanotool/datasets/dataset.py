"""What every data set here is."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled samples, train and test apart; read-only arrays."""

    name: str
    train_x: FloatArray  # [n, *sample shape], channels first: images are n, C, H, W
    train_y: NDArray[np.int64]  # [n], class numbers
    test_x: FloatArray
    test_y: NDArray[np.int64]
    labels: tuple[str, ...]  # names of the classes
    source: str
    licence: str
    # [n of test_x]: samples with the same number are pieces of one recording, and may vote.
    test_recordings: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def first(self, train: int, test: int) -> Dataset:
        """The same with only the first samples of either part."""
        recordings = self.test_recordings
        return replace(
            self,
            train_x=self.train_x[:train],
            train_y=self.train_y[:train],
            test_x=self.test_x[:test],
            test_y=self.test_y[:test],
            test_recordings=None if recordings is None else recordings[:test],
        )
