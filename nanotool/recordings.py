"""Recordings of a microphone or a sensor in files: .wav, .npy, .csv."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.files import read_array
from nanotool.sensing.description import CameraSettings, FrontEnd
from nanotool.signal.frontend import in_turn
from nanotool.sound import Int16Array, read_wav

SUFFIXES = (".wav", ".npy", ".csv")
_MOST = 1 << 28  # bytes of a .csv file


def read_recording(path: Path, ears: FrontEnd) -> Int16Array:
    """The samples in ``path`` as ``ears`` take them: a row of int16, of a sensor with its channels
    in turn. A .wav file has the rate and as many channels; a .npy file whole numbers
    [samples, channels], or a row where there is one channel; a .csv file a line for each sample,
    and perhaps one of names above. `NanoError` for anything else."""
    if path.suffix == ".wav":
        return read_wav(path, ears.sample_rate, ears.values)
    if path.suffix not in SUFFIXES:
        raise NanoError(f"{path} is no recording.", f"They end in {', '.join(SUFFIXES)}.")
    found = read_array(path) if path.suffix == ".npy" else _read_csv(path)
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2 or found.shape[1] != ears.values:
        raise NanoError(
            f"{path} holds {list(found.shape)}, not [samples, {ears.values}].",
            "A row or line has a sample's channels, without a time.",
        )
    whole = np.rint(found.astype(np.float64))
    if not np.array_equal(whole, found) or (np.abs(whole + 0.5) > 32768).any():
        raise NanoError(
            f"{path} holds other numbers than whole ones from -32768 to 32767.",
            "They are the sensor's own; the model's settings make real values of them.",
        )
    return in_turn(ears, whole.astype(np.int16).reshape(-1))


def read_recordings(place: Path, ears: FrontEnd) -> list[Int16Array]:
    """Every recording in a folder and its folders, by name; or the one file. `NanoError` if there
    is none."""
    found = sorted(path for path in place.rglob("*") if path.suffix in SUFFIXES)
    paths = [place] if place.is_file() else found
    if not paths:
        raise NanoError(
            f"{place} holds no recording ({', '.join(SUFFIXES)}).", "Name a folder of them."
        )
    return [read_recording(path, ears) for path in paths]


def read_frames(path: Path, camera: CameraSettings) -> NDArray[np.uint8]:
    """The frames [n, lines, bytes of a line] in a file of their bytes, one behind the other, as a
    driver writes them. `NanoError` if they are no whole ones."""
    lines, pitch = camera.frame
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= _MOST else b""
    except OSError as error:
        raise NanoError(f"Cannot read {path}: {error.strerror or error}.", "Check path.") from error
    if not content or size % (lines * pitch):
        raise NanoError(
            f"{path} has {size:,} bytes, which are not whole frames of {lines * pitch:,}.",
            f"A frame has {lines} lines of {camera.width} pixels, {camera.format}; a file at most "
            f"{_MOST >> 20} MB.",
        )
    return np.frombuffer(content, np.uint8).reshape(-1, lines, pitch)


def _read_csv(path: Path) -> NDArray[np.float64]:
    """[lines, columns]."""
    hint = "A line has one sample: its channels, as numbers between commas."
    try:
        if path.stat().st_size > _MOST:
            raise NanoError(f"{path} is larger than {_MOST >> 20} MB.", hint)
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NanoError(f"Cannot read {path}: {error}.", "Check the path; it is text.") from error
    if lines and not _numbers(lines[0]):
        del lines[0]
    if not lines or len({len(row) for row in lines}) != 1:
        raise NanoError(f"{path} has no lines, or lines of different lengths.", hint)
    try:
        return np.array(lines, np.float64)
    except ValueError as error:
        raise NanoError(f"{path} holds more than numbers: {error}.", hint) from error


def _numbers(row: list[str]) -> bool:
    try:
        return bool([float(cell) for cell in row])
    except ValueError:
        return False
