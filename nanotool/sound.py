"""Sound to listen to: recordings, and this computer's microphone."""

from __future__ import annotations

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


def read_wav(path: Path, rate: int, channels: int = 1) -> Int16Array:
    """The samples in a .wav file of 16 bits, ``rate`` a second, its ``channels`` in turn; else
    `NanoError`."""
    again = (
        f"Convert it: ffmpeg -i {path.name} -ar {rate} -ac {channels} -c:a pcm_s16le "
        f"{path.stem}_.wav"
    )
    try:
        with wave.open(str(path), "rb") as file:
            found = (file.getframerate(), file.getnchannels(), 8 * file.getsampwidth())
            content = file.readframes(file.getnframes())
    except OSError as error:
        raise NanoError(f"Cannot read {path}: {error.strerror or error}.", "Check path.") from error
    except (wave.Error, EOFError) as error:
        raise NanoError(f"{path} is no .wav file of plain samples: {error}.", again) from error
    if found != (rate, channels, 16):
        raise NanoError(
            f"{path} has {found[1]} channels of {found[2]} bits at {found[0]:,} Hz; the model "
            f"hears {'one' if channels == 1 else channels} of 16 bits at {rate:,} Hz.",
            again,
        )
    whole = len(content) // (2 * channels) * 2 * channels
    return np.frombuffer(content[:whole], "<i2").astype(np.int16)


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
