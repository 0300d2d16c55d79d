"""What is written is there whole, or what was there before is: killed at every call to the system,
on a full disk, without permission, without memory, with two that write at once."""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanotool import build, files
from nanotool.backends.c import folder
from nanotool.boards import NATIVE
from nanotool.cache import is_sealed, unfailing
from nanotool.errors import NanoError
from nanotool.files import write_atomic
from nanotool.training.session import save_checkpoint

Files = dict[str, bytes]
CALLS = ("open", "write", "fsync", "mkdir", "rename", "replace", "chmod", "unlink", "rmdir")
KILLED = 137
MOST_CALLS = 200


def model(number: int) -> Files:
    """A model folder's files: each model has one of its own."""
    first = f"/* {folder.MARK} */\n".encode()
    names = ("app_model.h", "net.c", f"only_{number}.h")
    return {name: first + bytes([number]) * 5000 for name in names} | {"model.nano": b"\n" * number}


def content(path: Path) -> Files | None:
    """What is at ``path``: a file's bytes, a folder's files; None: nothing."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return {"": path.read_bytes()} if path.exists() else None


def siblings(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir() if entry.name != path.name]


# --- What writes ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Writer:
    """Writes version 0, 1 or 2 of something at a path."""

    write: Callable[[Path, int], None]
    gap: bool = False  # it may be killed where there is nothing, and the next one puts the old back


def write_file(path: Path, number: int) -> None:
    write_atomic(path, bytes([number]) * 9000)


def write_folder(path: Path, number: int) -> None:
    folder.replace_folder(path, model(number))


def write_checkpoint(path: Path, number: int) -> None:
    weights = np.full((4, 40), number, np.float32)
    save_checkpoint({"fc.weight": weights}, path.with_suffix(".npz"))


def write_firmware(path: Path, number: int) -> None:
    """An entry of the build cache, from a workspace of that version."""
    work = path.parents[1] / f"work-{number}"
    for name in ("build/native/program", "model/net.h"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(bytes([number]) * 3000)
    with unfailing():
        build._keep(NATIVE, work, path)


WRITERS = {
    "file": Writer(write_file),
    "folder": Writer(write_folder),
    "folder, renamed twice": Writer(write_folder, gap=True),
    "checkpoint": Writer(write_checkpoint),
    "firmware": Writer(write_firmware, gap=True),  # a damaged one goes before the next one comes
}


@pytest.fixture(params=WRITERS)
def writer(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Writer:
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path))
    monkeypatch.setattr(build, "stack_frames", lambda _: ())
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a disk would be most of the time
    if "twice" in request.param:
        monkeypatch.setattr(folder, "exchange", lambda *_: False)
    return WRITERS[request.param]


@pytest.fixture
def place(writer: Writer, tmp_path: Path) -> Path:
    parent = tmp_path / "place"
    parent.mkdir()
    return parent / ("x.npz" if writer.write is write_checkpoint else "x")


def versions(writer: Writer, place: Path) -> list[Files | None]:
    found = []
    for number in (0, 1):
        writer.write(place, number)
        found.append(content(place))
    return found


# --- Faults ---------------------------------------------------------------------------------------


@contextmanager
def fault_at(number: int, fault: Callable[[str, Any], None]) -> Iterator[list[str]]:
    """At the ``number``-th call to the system (1 is the first) ``fault`` comes in its place; gives
    the names of the calls."""
    made: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            real = getattr(os, name)

            def call(*args: Any, _name: str = name, _real: Any = real, **options: Any) -> Any:
                made.append(_name)
                if len(made) == number:
                    fault(_name, args)
                return _real(*args, **options)

            patch.setattr(os, name, call)
        exchange = files.exchange

        def swap(*names: Path) -> bool:
            made.append("exchange")
            if len(made) == number:
                fault("exchange", names)
            return exchange(*names)

        patch.setattr(folder, "exchange", swap)
        yield made


def die(name: str, args: Any) -> None:
    if name == "write":
        os.pwrite(args[0], bytes(args[1])[: len(args[1]) // 2], 0)  # not under this watch
    os._exit(KILLED)


def killed(number: int, operation: Callable[[], None]) -> bool:
    """Whether a process of its own, killed at that call, came so far."""
    child = os.fork()
    if child == 0:
        try:
            with fault_at(number, die):
                operation()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


def test_killed_at_every_call(writer: Writer, place: Path) -> None:
    """Then the old one is there or the new one, and the next write leaves nothing else."""
    old, new = versions(writer, place)
    seen, number = [], 1
    while True:
        writer.write(place, 0)
        if not killed(number, lambda: writer.write(place, 1)):
            break
        found = content(place)
        seen.append(found)
        if found is None and writer.write is write_folder:
            with fault_at(4, _no_space), suppress(NanoError):
                writer.write(place, 1)
            assert content(place) in (old, new), "what was aside is not put back"
        elif writer.write is write_firmware:
            assert found in (old, new) or not is_sealed(place)
        else:
            assert found in (old, new), number
        writer.write(place, 1)
        assert content(place) == new
        assert siblings(place) == [], number
        number += 1
        assert number < MOST_CALLS
    assert number > 6
    assert old in seen and new in seen
    assert writer.gap or None not in seen


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _forbidden(*_: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _no_memory(*_: object) -> None:
    raise MemoryError


@pytest.mark.parametrize("fault", [_no_space, _forbidden, _no_memory])
def test_refused_at_every_call(
    writer: Writer, place: Path, fault: Callable[[str, Any], None]
) -> None:
    """It is told, the old one is there or the new one, and nothing else."""
    old, new = versions(writer, place)
    for number in range(1, MOST_CALLS):
        writer.write(place, 0)
        told = None
        try:
            with fault_at(number, fault) as made:
                writer.write(place, 1)
        except (NanoError, MemoryError) as error:
            told = error
        if len(made) < number:
            break
        found = content(place)
        assert found in (old, new) or (writer.write is write_firmware and not is_sealed(place))
        assert told is not None or found == new, made
        if isinstance(told, NanoError):
            assert told.hint
        writer.write(place, 1)
        assert content(place) == new
        assert siblings(place) == [], (number, made)
    assert number < MOST_CALLS - 1


# --- Killed from outside, and two at once ---------------------------------------------------------


def exporting(path: Path, number: int, times: int) -> int:
    """A process that exports so often; its id."""
    child = os.fork()
    if child == 0:
        os.fsync = lambda _: None  # type: ignore[assignment]
        code = 1
        try:
            for _ in range(times):
                folder.replace_folder(path, model(number))
            code = 0
        finally:
            os._exit(code)
    return child


@pytest.mark.parametrize("how", ["exchanged", "renamed twice"])
def test_exports_that_are_killed(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how != "exchanged":
        monkeypatch.setattr(folder, "exchange", lambda *_: False)
    path = tmp_path / "m"
    whole = [model(0), model(1)]
    folder.replace_folder(path, whole[0])
    chance = random.Random(1)
    for _ in range(15):
        child = exporting(path, 1, 10**6)
        time.sleep(chance.random() * 0.02)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert content(path) in whole or how != "exchanged"
        folder.replace_folder(path, whole[0])
        assert content(path) == whole[0]
        assert siblings(path) == []


def test_two_exports_at_once(tmp_path: Path) -> None:
    """None is refused, and the folder is there at every look."""
    path = tmp_path / "m"
    folder.replace_folder(path, model(0))
    children = {exporting(path, number, 150) for number in (0, 1)}
    looks = 0
    while children:
        for child in list(children):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                children.remove(child)
                assert os.waitstatus_to_exitcode(status) == 0
        for _ in range(50):
            path.stat()
            looks += 1
    assert looks > 100
    assert content(path) in (model(0), model(1))
    assert siblings(path) == []


def test_what_came_into_the_folder_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    folder.replace_folder(path, model(0))
    exchange = files.exchange

    def late(*names: Path) -> bool:
        if not (path / "notes.txt").exists():
            (path / "notes.txt").write_text("mine")
        return exchange(*names)

    monkeypatch.setattr(folder, "exchange", late)
    with pytest.raises(NanoError, match=r"other files than an exported model's: notes\.txt"):
        folder.replace_folder(path, model(1))
    assert content(path) == model(0) | {"notes.txt": b"mine"}
    assert siblings(path) == []


def test_what_another_one_left_stays(tmp_path: Path) -> None:
    """Files of similar names, and siblings of a write that is under way."""
    path = tmp_path / "x"
    others = (".x.tmp-notes", ".x.tmp-0123456789abcdef", ".y.tmp-0123456789ab")
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / ".x.tmp-0123456789ab").touch()
    write_atomic(path, "hello")
    assert sorted(siblings(path)) == sorted(others)


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_atomic(link, "new")
    assert link.is_symlink() and real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(tmp_path / "pipe", "hello")
    assert os.read(reader, 10) == b"hello"
    os.close(reader)


def test_arrays_are_known_by_their_content(tmp_path: Path) -> None:
    files.write_arrays(tmp_path / "a.npy", {"x": np.ones(2)})
    files.write_array(tmp_path / "b.npz", np.ones(3))
    assert files.read_arrays(tmp_path / "a.npy").keys() == {"x"}
    assert files.read_arrays(tmp_path / "b.npz")["0"].size == 3
