"""A wrist's motion during seven shoulder exercises: accelerometer and gyroscope at 50 Hz."""

from __future__ import annotations

import io
import math
import pickle  # nosec B403 # _NumpyOnly lets it call nothing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.datasets.dataset import Dataset
from nanotool.datasets.packages import Package, fetch
from nanotool.errors import NanoError
from nanotool.ir import FloatArray
from nanotool.progress import Progress, ignore_progress

MEMBER = "seglearn/data/watch_dataset.npy"
PACKAGE = Package(
    registry="PyPI",
    name="seglearn",
    version="1.2.5",
    members=MEMBER,
    sha256="eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537",
)
LABELS = (
    *("pendulum", "abduction", "forward elevation", "internal rotation"),
    *("external rotation", "trapezius extension", "row"),
)
FOLDS, SUBJECTS = 5, 10
WINDOW = 200  # samples in a window: 4 s
TRAIN_STRIDE, TEST_STRIDE = 25, 100
# One unit of the network's input: 0.5 g and 2 rad/s, about the standard deviations.
UNITS = np.array([0.5, 0.5, 0.5, 2, 2, 2], np.float32)


def load_motion(progress: Progress = ignore_progress) -> tuple[Dataset, ...]:
    """Five folds of 4 s windows; in each, two of the ten subjects are held out for the test.

    Samples are 6 x 200: acceleration along x, y, z in units of 0.5 g, turn rates in units of
    2 rad/s. ``test_recordings`` tells which windows belong to one recording. The first call
    downloads 11 MB with pip. Raises NanoError where the data can neither be found nor fetched.
    """
    progress(0, 2)
    content = fetch(PACKAGE)[MEMBER]
    progress(1, 2)
    data = _unpickle(content)
    recordings = [np.asarray(x, np.float32) / UNITS for x in data["X"]]
    exercises = np.asarray(data["y"], np.int64)
    subjects = np.asarray(data["subject"], np.int64) - 1
    folds = tuple(
        _fold(recordings, exercises, subjects * FOLDS // SUBJECTS == fold, fold)
        for fold in range(FOLDS)
    )
    progress(2, 2)
    return folds


@dataclass(frozen=True, slots=True)
class MotionRecordings:
    """The same recordings whole, in the whole numbers of a sensor of ±8 g and ±2,000 degrees/s."""

    samples: tuple[NDArray[np.int16], ...]  # each [n, 6]
    exercises: NDArray[np.int64]  # of each, as LABELS
    held_out: NDArray[np.bool_]  # of the first fold
    people: NDArray[np.int64]  # of each, from 0; two a fold, in order


SENSOR_SCALE = (8 / 32768,) * 3 + (math.radians(2000) / 32768,) * 3  # g and rad/s of a 1


def motion_recordings(progress: Progress = ignore_progress) -> MotionRecordings:
    """All 140 recordings at 50 Hz. As `load_motion`."""
    progress(0, 1)
    data = _unpickle(fetch(PACKAGE)[MEMBER])
    progress(1, 1)
    subjects = np.asarray(data["subject"], np.int64) - 1
    whole = [np.rint(np.asarray(x, np.float64) / SENSOR_SCALE) for x in data["X"]]
    samples = tuple(np.clip(x, -32768, 32767).astype(np.int16) for x in whole)
    held_out = subjects * FOLDS // SUBJECTS == 0
    return MotionRecordings(samples, np.asarray(data["y"], np.int64), held_out, subjects)


def _fold(
    recordings: Sequence[FloatArray],
    exercises: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    number: int,
) -> Dataset:
    train = np.flatnonzero(~held_out)
    test = np.flatnonzero(held_out)
    train_x, train_from = _windows([recordings[int(i)] for i in train], TRAIN_STRIDE)
    test_x, test_from = _windows([recordings[int(i)] for i in test], TEST_STRIDE)
    return Dataset(
        name=f"wrist motion, fold {number + 1}",
        train_x=train_x,
        train_y=exercises[train][train_from],
        test_x=test_x,
        test_y=exercises[test][test_from],
        labels=LABELS,
        source="Smart watch data of shoulder exercises by D. Burns et al., "
        f"doi 10.1088/1361-6579/aacfd9, as packed in {PACKAGE}",
        licence="BSD-3-Clause",
        test_recordings=test_from,
    )


def _windows(recordings: Sequence[FloatArray], stride: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Windows [n, 6, WINDOW], and the recording that each was cut from."""
    pieces, origin = [], []
    for number, recording in enumerate(recordings):
        for begin in range(0, len(recording) - WINDOW + 1, stride):
            pieces.append(recording[begin : begin + WINDOW].T)
            origin.append(number)
    return np.stack(pieces), np.array(origin, np.int64)


class _NumpyOnly(pickle.Unpickler):
    """Takes NumPy's arrays out of a pickle, and can call nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "dtype"): np.dtype,
            ("numpy", "ndarray"): np.ndarray,
            # What NumPy calls itself to make an array that is filled afterwards.
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            # How Python 2's byte strings are written.
            ("_codecs", "encode"): _encode,
        }
        try:
            return allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it wants {module}.{name}") from None


def _empty_array(kind: Any, shape: Any, dtype: Any) -> NDArray[Any]:
    """An array for pickle to fill: always of the plain kind."""
    array: NDArray[Any] = np.ndarray(shape, dtype)
    return array


def _encode(text: str, _encoding: str) -> bytes:
    return text.encode("latin-1")


def _unpickle(content: bytes) -> dict[str, Any]:
    """The dictionary in an .npy file of one Python object."""
    file = io.BytesIO(content)
    try:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        array = _NumpyOnly(file, encoding="latin-1").load()
        data = array.item()
    except (ValueError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise NanoError(f"{MEMBER} of {PACKAGE} cannot be read: {error}.", "") from error
    if not isinstance(data, dict) or not {"X", "y", "subject"} <= data.keys():
        raise NanoError(f"{MEMBER} of {PACKAGE} does not hold what it should.", "")
    return data
