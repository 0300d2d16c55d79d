"""How well a classifier answers: accuracy, F1 and who is taken for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import QGraph

MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Scores:
    """Of answers whose truth is known."""

    confusion: NDArray[np.int64]  # [true class][class that was answered]
    names: tuple[str, ...]  # one a class

    @property
    def count(self) -> int:
        """Answers."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """Of them, those that are the truth."""
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0..1."""
        return self.right / self.count

    @property
    def precision(self) -> NDArray[np.float64]:
        """Of each class: the share of its answers that are right; 0 where there are none."""
        return _share(self.confusion.diagonal(), self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Of each class: the share of its samples that are found; 0 where there are none."""
        return _share(self.confusion.diagonal(), self.confusion.sum(axis=1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """Of each class: 2 p r / (p + r), precision and recall's harmonic mean."""
        p, r = self.precision, self.recall
        return _share(2 * p * r, p + r)

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that have samples."""
        return float(self.f1[self.confusion.sum(axis=1) > 0].mean())

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "accuracy": self.accuracy,
            "right": self.right,
            "count": self.count,
            "macro_f1": self.macro_f1,
            "f1": self.f1.tolist(),
            "classes": list(self.names),
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        worst = self.confusion - np.diag(self.confusion.diagonal())
        text = (
            f"{self.right:,} of {self.count:,} right: {self.accuracy:.2%}, F1 {self.macro_f1:.3f}."
        )
        if not worst.any():
            return text
        true, taken = np.unravel_index(int(worst.argmax()), worst.shape)
        return (
            f"{text} Most often {self.names[true]} is taken for {self.names[taken]}: "
            f"{worst[true, taken]:,} of {self.confusion[true].sum():,}."
        )


def scores(outputs: NDArray[Any], labels: Any, names: Sequence[str] = ()) -> Scores:
    """Of ``outputs`` [n, *shape], a number a class, whose largest is the answer (of equal ones the
    first); or one number, positive for class 1. ``labels``: the true classes, n whole numbers from
    0. `NanoError` where they do not fit."""
    rows = np.asarray(outputs).reshape(len(outputs), -1)
    truth = _checked(labels, len(rows), rows.shape[1])
    answers = (rows[:, 0] > 0).astype(int) if rows.shape[1] == 1 else rows.argmax(axis=1)
    classes = max(2, rows.shape[1])
    named = tuple(names) if len(names) == classes else tuple(map(str, range(classes)))
    return Scores(confusion(truth, answers, classes), named)


def confusion(truth: Any, answers: Any, classes: int) -> NDArray[np.int64]:
    """[true class, answer]: how many samples; both are classes from 0."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, answers), 1)
    return table


def check_labels(graph: QGraph, labels: Any, count: int) -> None:
    """`NanoError` unless ``labels`` can be those of ``count`` inputs of ``graph``: said before
    anything is built."""
    _checked(labels, count, graph.output_tensors[0].size)


def _checked(labels: Any, count: int, outputs: int) -> NDArray[np.int64]:
    truth = np.asarray(labels).reshape(-1)
    if outputs > MOST_CLASSES:
        raise NanoError(f"An output of {outputs} values is no classifier's.")
    if len(truth) != count:
        raise NanoError(
            f"There are {len(truth)} labels for {count} inputs.",
            "Give the true class of each input, in their order.",
        )
    if truth.dtype.kind not in "iufb" or not len(truth) or (truth != np.floor(truth)).any():
        raise NanoError("Labels are whole numbers, one an input, and there is at least one.")
    if truth.min() < 0 or truth.max() >= max(2, outputs):
        raise NanoError(
            f"The labels reach from {int(truth.min())} to {int(truth.max())}; the model has "
            f"classes 0 to {max(2, outputs) - 1}."
        )
    return truth.astype(np.int64)


def _share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    result = np.zeros(len(part))
    np.divide(part, whole, out=result, where=whole > 0)
    return result
