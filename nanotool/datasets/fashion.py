"""Fashion-MNIST: articles of clothing."""

from __future__ import annotations

import gzip

import numpy as np
from numpy.typing import NDArray

from nanotool.datasets.dataset import Dataset
from nanotool.datasets.packages import Package, fetch
from nanotool.ir import FloatArray
from nanotool.progress import Progress, ignore_progress

FOLDER = "usr/share/datasets/fashion-mnist"
PACKAGE = Package(
    registry="Debian",
    name="dataset-fashion-mnist",
    version="0.0~git20200523.55506a9-1",
    members=f"{FOLDER}/*",
    sha256="af63594c80959e1b5d65f0354ac8f3ffa78bb3c1442e4dee06d83686b454d763",
)
LABELS = (
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def load_fashion(progress: Progress = ignore_progress) -> Dataset:
    """Fashion-MNIST's grey pictures, 28x28, pixels 0..1: 60,000 to train with, 10,000 to test.

    The first call downloads 31 MB with apt-get, which Debian and Ubuntu have. Raises NanoError
    where the data can neither be found nor fetched.
    """
    progress(0, 2)
    files = fetch(PACKAGE)
    progress(1, 2)
    train_x, train_y = _split(files, "train")
    test_x, test_y = _split(files, "t10k")
    progress(2, 2)
    return Dataset(
        name="Fashion-MNIST",
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        labels=LABELS,
        source=f"Fashion-MNIST by H. Xiao, K. Rasul and R. Vollgraf, as packed in {PACKAGE}",
        licence="MIT",
    )


def _split(files: dict[str, bytes], part: str) -> tuple[FloatArray, NDArray[np.int64]]:
    """Images and labels of one part. IDX files: a header of 16 (8) bytes, then the bytes."""
    images = gzip.decompress(files[f"{FOLDER}/{part}-images-idx3-ubyte.gz"])
    labels = gzip.decompress(files[f"{FOLDER}/{part}-labels-idx1-ubyte.gz"])
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28)
    x = np.divide(pixels, 255, dtype=np.float32)
    return x, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)
