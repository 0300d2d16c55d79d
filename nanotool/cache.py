"""The folder in which builds are kept, and finished things in it that prove themselves.

A thing is sealed once it is whole: SHA256SUMS lists each of its files (`sha256sum -c` reads it).
One whose files are not to the byte what the list says (cut short by a power failure, emptied,
altered) is taken for none.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from nanotool.errors import NanoError
from nanotool.files import sync, write_synced

VARIABLE = "NANOTOOL_CACHE"
SUMS = "SHA256SUMS"
_CODING = ("utf-8", "surrogateescape")
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_dir() -> Path:
    """Where builds are kept; made if it is not there.

    What lies in it is run and flashed, so `NanoError` unless it is the user's own, and nobody
    else's to write.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return _private(Path(chosen).expanduser())
    fallback = Path(tempfile.gettempdir()) / f"nanotool-{os.getuid()}"
    candidates = [platformdirs.user_cache_path("nanotool"), fallback]
    for folder in candidates:
        try:
            return _private(folder)
        except _Unusable:
            continue
    raise NanoError(
        f"No cache folder can be written: {', '.join(map(str, candidates))}.",
        f"Set {VARIABLE} to a folder of yours.",
    )


class _Unusable(NanoError):
    """A folder that cannot be written at all, or is another's."""


def _private(folder: Path) -> Path:
    """``folder``, made if it is not there; `NanoError` if it is not the user's alone."""
    way_out = f"Set {VARIABLE} to a folder of yours."
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        named = folder.lstat()  # a link of another's could lead to any folder of ours
        folder = folder.resolve()
        found = folder.stat()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _Unusable(f"The cache folder {folder} cannot be made: {reason}.", way_out) from error
    if {named.st_uid, found.st_uid} != {os.getuid()}:
        raise _Unusable(f"The cache folder {folder} belongs to another user.", way_out)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _Unusable(f"The cache folder {folder} cannot be written.", way_out)
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise NanoError(
            f"Others may write in the cache folder {folder}, and what lies there is run.",
            f"Empty it, then: chmod go-w {folder}. Or set {VARIABLE} to a folder of yours.",
        )
    return folder


def room(name: str) -> Path:
    """The folder ``name`` of the cache, which only its owner may write."""
    return _private(cache_dir() / name)


@contextmanager
def unfailing() -> Iterator[None]:
    """What the system refuses in the cache, a full disk for one, becomes a `NanoError`."""
    try:
        yield
    except OSError as error:
        raise NanoError(
            f"The cache folder {cache_dir()} cannot be used: {error.strerror or error}.",
            f"Make room, or set {VARIABLE} to a folder elsewhere.",
        ) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time; the others wait. A killed process leaves no lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def seal(folder: Path) -> None:
    """Have all files in ``folder`` reach the disk, and list them."""
    sums = {name: _sum(folder / name) for name in _files(folder)}
    for path in (*(folder / name for name in sums), *_folders(folder)):
        sync(path)
    write_synced(folder / SUMS, _text(sums))
    sync(folder)


def is_sealed(folder: Path, *, alone: bool = True) -> bool:
    """Whether all is as `seal` found it; with ``alone`` there is no file more."""
    try:
        text = (folder / SUMS).read_bytes()
        sums = {line[66:]: line[:64] for line in text.decode(*_CODING).splitlines()}
        if alone and set(_files(folder)) != sums.keys() | {SUMS}:
            return False
        found = {name: _sum(folder / name) for name in sums}
        return bool(sums) and text == _text(found)
    except (OSError, ValueError):
        return False


def _text(sums: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode(*_CODING)


def _files(folder: Path) -> list[str]:
    """The regular files below ``folder``, by their names from there; links are left out."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    )


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
