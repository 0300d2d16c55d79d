"""What a task found out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.task import Task
from nanotool.api import QuantizedModel
from nanotool.bench import BenchResult
from nanotool.boards import Board
from nanotool.build import BuildResult
from nanotool.datasets import Dataset
from nanotool.run import RunResult
from nanotool.scores import confusion


@dataclass(frozen=True, slots=True)
class FoldOutcome:
    """One fold's networks, float and int8, on its whole test part."""

    data: Dataset
    model: QuantizedModel
    float_answers: NDArray[np.int64]  # class numbers
    int8_answers: NDArray[np.int64]

    @property
    def float_accuracy(self) -> float:
        """Share of the test part, 0..1."""
        return float((self.float_answers == self.data.test_y).mean())

    @property
    def int8_accuracy(self) -> float:
        """Share of the test part, 0..1."""
        return float((self.int8_answers == self.data.test_y).mean())

    @property
    def vote(self) -> float | None:
        """Share of the recordings that most of their windows get right; None without recordings."""
        recordings = self.data.test_recordings
        if recordings is None:
            return None
        right = []
        for number in np.unique(recordings):
            windows = recordings == number
            winner = np.bincount(self.int8_answers[windows]).argmax()
            right.append(winner == self.data.test_y[windows][0])
        return float(np.mean(right))


@dataclass(frozen=True, slots=True)
class BoardOutcome:
    """What one board did with its samples."""

    board: Board
    firmware: BuildResult
    answers: RunResult
    accuracy: float
    bench: BenchResult


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that the closing tables show."""

    task: Task
    folds: tuple[FoldOutcome, ...]
    boards: tuple[BoardOutcome, ...]  # they run the first fold's network
    report: Path
    page: Path | str = ""  # in which the first fold's network runs; why there is none

    @property
    def float_accuracy(self) -> float:
        """Mean of the folds, 0..1."""
        return float(np.mean([fold.float_accuracy for fold in self.folds]))

    @property
    def int8_accuracy(self) -> float:
        """Mean of the folds, 0..1."""
        return float(np.mean([fold.int8_accuracy for fold in self.folds]))

    @property
    def lost(self) -> float:
        """What int8 costs: float accuracy minus int8 accuracy."""
        return self.float_accuracy - self.int8_accuracy

    @property
    def votes(self) -> tuple[float, ...]:
        """Each fold's `FoldOutcome.vote`; empty without recordings."""
        return tuple(fold.vote for fold in self.folds if fold.vote is not None)

    def confusion(self) -> NDArray[np.int64]:
        """[true class, int8 answer]: how many test samples, over all folds."""
        count = len(self.folds[0].data.labels)
        folds = [confusion(f.data.test_y, f.int8_answers, count) for f in self.folds]
        return np.asarray(np.sum(folds, axis=0), np.int64)

    def to_json(self) -> dict[str, Any]:
        """The figures, for bench/tasks."""
        return {
            "task": self.task.name,
            "source": self.folds[0].data.source,
            "float_accuracy": self.float_accuracy,
            "int8_accuracy": self.int8_accuracy,
            "folds": [
                {
                    "test_samples": len(fold.data.test_x),
                    "float_accuracy": fold.float_accuracy,
                    "int8_accuracy": fold.int8_accuracy,
                    "vote": fold.vote,
                }
                for fold in self.folds
            ],
            "confusion": self.confusion().tolist(),
            "boards": [
                {
                    "samples": len(board.answers.outputs),
                    "accuracy": board.accuracy,
                    "mismatches": board.answers.mismatches,
                    # Time on this computer repeats on no other.
                    "instructions": board.bench.instructions,
                    "board": board.board.name,
                    "emulated": board.bench.emulated,
                    "arena_bytes": board.bench.arena_bytes,
                    "code_bytes": board.bench.code_bytes,
                    "weight_bytes": board.bench.weight_bytes,
                    "stack_bytes": board.bench.stack_bytes,
                    "compiler": board.bench.compiler,
                }
                for board in self.boards
            ],
        }
