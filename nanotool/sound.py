"""Sound to listen to: recordings, and this computer's microphone."""

from __future__ import annotations

import io
import queue
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import MissingTool, NanoError

Int16Array = NDArray[np.int16]
MICROPHONE_PIECE = 0.02  # seconds
_WAITING = 100  # pieces that may wait to be taken, before some are left out
_EXTENSIBLE = b"\xfe\xff"  # the format of a .wav file that names its own further on
_OTHERS = {3: "floats", 6: "A-law", 7: "µ-law"}  # formats that are no whole numbers


def read_wav(path: Path, rate: int, channels: int = 1) -> Int16Array:
    """The samples in a .wav file of 16 bits, ``rate`` a second, its ``channels`` in turn; else
    `NanoError`."""
    again = (
        f"Convert it: ffmpeg -i {path.name} -ar {rate} -ac {channels} -c:a pcm_s16le "
        f"{path.stem}_.wav"
    )
    try:
        whole_file, kind = _named(path.read_bytes())
        if kind in _OTHERS:
            raise NanoError(f"{path} holds {_OTHERS[kind]}, not whole numbers of 16 bits.", again)
        with wave.open(io.BytesIO(whole_file), "rb") as file:
            found = (file.getframerate(), file.getnchannels(), 8 * file.getsampwidth())
            content = file.readframes(file.getnframes())
    except OSError as error:
        raise NanoError(f"Cannot read {path}: {error.strerror or error}.", "Check path.") from error
    except (wave.Error, EOFError) as error:
        raise NanoError(f"{path} is no .wav file of plain samples: {error}.", again) from error
    if found != (rate, channels, 16):
        several = f"{found[1]} channels" if found[1] > 1 else "one channel"
        raise NanoError(
            f"{path} has {several} of {found[2]} bits at {found[0]:,} Hz; the model "
            f"hears {'one' if channels == 1 else channels} of 16 bits at {rate:,} Hz.",
            again,
        )
    whole = len(content) // (2 * channels) * 2 * channels
    return np.frombuffer(content[:whole], "<i2").astype(np.int16)


def _named(content: bytes) -> tuple[bytes, int]:
    """A .wav file with its own format in place of the extensible one, and the format's number; 0
    where there is none."""
    at = 12
    while at + 8 <= len(content):
        size, body = int.from_bytes(content[at + 4 : at + 8], "little"), at + 8
        if content[at : at + 4] == b"fmt ":
            if content[body : body + 2] == _EXTENSIBLE and size >= 26:
                content = content[:body] + content[body + 24 : body + 26] + content[body + 2 :]
            return content, int.from_bytes(content[body : body + 2], "little")
        at = body + size + size % 2
    return content, 0


def microphone(rate: int) -> Iterator[Int16Array | None]:
    """What this computer's microphone hears, piece by piece, for ever; None where some of it was
    left out, because nobody took it in time. `MissingTool` without sounddevice."""
    try:
        import sounddevice  # noqa: PLC0415  optional
    except (ImportError, OSError) as error:  # OSError: PortAudio is missing
        raise MissingTool(
            f"The microphone needs sounddevice, and PortAudio: {error}.",
            "Run: pip install 'nanotool[microphone]' (and, on Debian, apt install libportaudio2)",
        ) from error
    waiting: queue.Queue[Int16Array] = queue.Queue(_WAITING)
    lost = 0

    def take(data: Any, _frames: int, _time: Any, _status: Any) -> None:
        nonlocal lost
        try:
            waiting.put_nowait(np.array(data[:, 0], np.int16))
        except queue.Full:
            lost += 1

    piece = max(1, int(rate * MICROPHONE_PIECE))
    try:
        stream = sounddevice.InputStream(
            samplerate=rate, channels=1, dtype="int16", blocksize=piece, callback=take
        )
    except sounddevice.PortAudioError as error:
        raise NanoError(f"There is no microphone at {rate:,} Hz: {error}.") from error
    told = 0
    with stream:
        while True:
            if lost != told:
                while not waiting.empty():
                    waiting.get_nowait()
                told = lost
                yield None
            yield waiting.get()
