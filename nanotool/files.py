"""Files that a user names: read with good messages, written whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError

NPY_MAGIC = b"\x93NUMPY"


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path``; a reader sees the old file or the new one, never a part.

    Raises `NanoError` where the folder is missing or cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.is_dir():
        raise NanoError(f"{path} is a folder.", "Name a file to write.")
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except OSError as error:
        raise NanoError(
            f"Cannot write {path}: {error.strerror or error}.",
            "Choose a folder that exists and that you may write to.",
        ) from error
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _umask() -> int:
    """The process's umask (there is no call that only reads it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def read_array(path: Path) -> NDArray[Any]:
    """The array in the .npy file ``path``: numbers only, never pickled objects."""
    if not path.exists():
        raise NanoError(f"There is no file {path}.", "Check the path; arrays are .npy files.")
    if path.is_dir():
        raise NanoError(f"{path} is a folder.", "Name one .npy file (numpy.save makes them).")
    hint = "Save it with numpy.save(path, array), as numbers."
    try:
        with path.open("rb") as file:
            if file.read(len(NPY_MAGIC)) != NPY_MAGIC:
                raise NanoError(f"{path} is not a .npy file.", hint)
            file.seek(0)
            array = np.load(file, allow_pickle=False)
    except OSError as error:
        raise NanoError(f"Cannot read {path}: {error.strerror or error}.", hint) from error
    except (ValueError, EOFError, MemoryError) as error:
        raise NanoError(f"{path} is damaged or holds no plain numbers: {error}.", hint) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise NanoError(f"{path} holds {getattr(array, 'dtype', type(array))}.", hint)
    return array


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write ``array`` to the .npy file ``path``, whole or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_atomic(path, buffer.getvalue())
