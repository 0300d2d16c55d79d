"""Files that a user names: read with good messages, written whole or not at all.

What is written goes to a hidden sibling first, reaches the disk, and then takes the name. A sibling
is locked by whoever writes it: the ones without an owner are a killed process's, and go with the
next write of the same name.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import os
import re
import secrets
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError

if sys.platform != "win32":
    import fcntl

NPY_MAGIC = b"\x93NUMPY"

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # Linux: fcntl.h, linux/fs.h
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


# --- Writing --------------------------------------------------------------------------------------


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path``; a reader sees the old file or the new one, never a part, even
    if the power fails. A link stays a link; a device or a pipe is written as it is.

    Raises `NanoError` where the folder is missing or cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        if path.is_dir():
            raise NanoError(f"{path} is a folder.", "Name a file to write.")
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace_file(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise cannot_write(path, error) from error


def check_writable(path: Path) -> None:
    """`NanoError` where `write_atomic` could not write ``path``: said before long work begins."""
    if path.is_dir():
        raise NanoError(f"{path} is a folder.", "Name a file to write.")
    if path.exists() and not path.is_file():  # a device, a pipe
        return
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise cannot_write(path, FileNotFoundError(errno.ENOENT, f"there is no folder {folder}"))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise cannot_write(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def cannot_write(path: Path, error: OSError) -> NanoError:
    """What to tell a user whose ``path`` could not be written; it is what it was before."""
    return NanoError(
        f"Cannot write {path}: {error.strerror or error}.",
        "Make room on the disk, then try again."
        if error.errno in _FULL
        else "Choose a folder that exists and that you may write to.",
    )


def write_synced(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write the new file ``path`` so that it is on the disk, not only in the system's memory."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        _write_all(handle, data)
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Have the file or folder ``path`` itself reach the disk (of a folder its names)."""
    if path.is_dir() and sys.platform == "win32":
        return  # there folders cannot be opened
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no such thing
            raise
    finally:
        os.close(handle)


def _replace_file(path: Path, data: bytes) -> None:
    prefix = f".{path.name}.tmp-"
    _clear(path.parent, prefix)
    temporary, lock = _claim(path.parent, prefix, _create)
    try:
        _write_all(lock, data)
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        temporary.replace(path)
        sync(path.parent)
    finally:
        os.close(lock)
        with contextlib.suppress(OSError):
            temporary.unlink()


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
    os.fsync(handle)


def _umask() -> int:
    """The process's umask (there is no call that only reads it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


# --- Siblings -------------------------------------------------------------------------------------


@contextlib.contextmanager
def scratch(
    parent: Path, prefix: str, is_litter: Callable[[Path], bool] = lambda _: True
) -> Iterator[Path]:
    """A new folder in ``parent``, whose name is ``prefix`` and a random number; afterwards whatever
    has this name is removed. What killed processes left under this prefix goes first, where
    ``is_litter`` agrees."""
    _clear(parent, prefix, is_litter)
    folder, lock = _claim(parent, prefix, _make_folder)
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def orphans(parent: Path, prefix: str) -> Iterator[Path]:
    """What killed processes left in ``parent`` under ``prefix``: each locked while it is looked
    at."""
    pattern = re.compile(re.escape(prefix) + "[0-9a-f]{12}")
    with os.scandir(parent) as entries:
        names = [entry.name for entry in entries if pattern.fullmatch(entry.name)]
    for name in names:
        path = parent / name
        lock = _lock(path, wait=False)
        if lock is not None:
            try:
                yield path
            finally:
                os.close(lock)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of the file or folder that ``path`` names now; True if it is still the same one
    when the wait is over."""
    lock = _lock(path, wait=True)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def exchange(one: Path, other: Path) -> bool:
    """Let two paths have each other's file or folder: at no moment is either without. False: this
    system or file system cannot do it."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if sys.platform != "linux" or call is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def _clear(parent: Path, prefix: str, is_litter: Callable[[Path], bool] = lambda _: True) -> None:
    for path in orphans(parent, prefix):
        if is_litter(path):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _make_folder(path: Path) -> int:
    path.mkdir()
    return os.open(path, os.O_RDONLY)


def _claim(parent: Path, prefix: str, make: Callable[[Path], int]) -> tuple[Path, int]:
    """A new sibling and a handle of it, locked. Between the two it may be taken for an orphan:
    then there is another one."""
    while True:
        path = parent / (prefix + secrets.token_hex(6))
        handle = make(path)
        _flock(handle, wait=True)
        if _is_at(path, handle):
            return path, handle
        os.close(handle)


def _lock(path: Path, *, wait: bool) -> int | None:
    """A handle that has ``path``'s lock until it is closed; None: it is another's, or gone.

    Where there are no locks, whoever would wait goes on without."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if (_flock(handle, wait=wait) or wait) and _is_at(path, handle):
        return handle
    os.close(handle)
    return None


def _flock(handle: int, *, wait: bool) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except OSError:
        return False


# --- Arrays ---------------------------------------------------------------------------------------


def _is_pickle(start: bytes) -> bool:
    """Whether a file that begins so is what pickle.dump writes (protocol 2 to 5)."""
    return start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def read_array(path: Path) -> NDArray[Any]:
    """The array in the .npy file ``path``: numbers only, never pickled objects."""
    if not path.exists():
        raise NanoError(f"There is no file {path}.", "Check the path; arrays are .npy files.")
    if path.is_dir():
        raise NanoError(f"{path} is a folder.", "Name one .npy file (numpy.save makes them).")
    hint = "Save it with numpy.save(path, array), as numbers."
    if path.is_file() and path.stat().st_size == 0:
        raise NanoError(f"{path} is empty: it has no bytes.", hint)
    try:
        with path.open("rb") as file:
            magic = file.read(len(NPY_MAGIC))
            file.seek(0)
            array = np.load(file, allow_pickle=False) if magic == NPY_MAGIC else None
    except OSError as error:
        raise NanoError(f"Cannot read {path}: {error.strerror or error}.", hint) from error
    except Exception as error:  # NumPy reads the header as Python: its tokenizer's errors are many
        raise NanoError(f"{path} is damaged or holds no plain numbers: {error}.", hint) from error
    if array is None:
        kind = ", but a pickle, which is not read: it can run code" if _is_pickle(magic) else ""
        raise NanoError(f"{path} is not a .npy file{kind}.", hint)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise NanoError(f"{path} holds {getattr(array, 'dtype', type(array))}.", hint)
    return array


def _is_archive(path: Path) -> bool:
    """Whether ``path`` is to be read as a .npz file: by its content, and where that says nothing by
    its name."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(NPY_MAGIC))
    except OSError:  # told by whoever reads it
        return False
    return begin[:4] == b"PK\3\4" or (path.suffix == ".npz" and begin != NPY_MAGIC)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the .npz file ``path`` by name; a .npy file's one array is called "0". Numbers
    only, never pickled objects."""
    if not _is_archive(path):
        return {"0": read_array(path)}
    hint = "Save it with numpy.savez(path, name=array), as numbers."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored.items()) if isinstance(stored, np.lib.npyio.NpzFile) else {}
    except OSError as error:
        raise NanoError(f"Cannot read {path}: {error.strerror or error}.", hint) from error
    except Exception as error:  # zip's, NumPy's and the tokenizer's errors are many
        raise NanoError(f"{path} is damaged or holds no plain numbers: {error}.", hint) from error
    if not arrays:
        raise NanoError(f"{path} holds no arrays.", hint)
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            held = getattr(array, "dtype", type(array))
            raise NanoError(f"{path} holds {held} as {name}.", hint)
    return arrays


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``arrays`` to the .npz file ``path``, whole or not at all."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # numpy.savez takes no array called "file"
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())
    write_atomic(path, buffer.getvalue())


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write ``array`` to the .npy file ``path``, whole or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_atomic(path, buffer.getvalue())
