"""Arrays that a user names (.npy, .npz): an array, or a NanoError; never code."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from nanotool.errors import NanoError
from nanotool.files import read_array

FILE = Path(tempfile.mkdtemp(prefix="nano-fuzz-")) / "array.npy"


def test(data: bytes) -> None:
    """Read ``data`` as a file."""
    FILE.write_bytes(data)
    try:
        array = read_array(FILE)
    except NanoError as error:
        assert error.hint
        return
    assert isinstance(array, np.ndarray)
    assert not array.dtype.hasobject
