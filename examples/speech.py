"""Spoken words by espeak-ng (a Debian package), and microWakeWord's models and words about them."""

from __future__ import annotations

import importlib.util
import shutil
import statistics
import subprocess
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import MissingTool

RATE = 16000
BEFORE, BEHIND = 1.0, 1.5  # seconds of silence
_WAV_HEADER = 44  # bytes of espeak-ng's
_RATE_AT = 24

Int16Array = NDArray[np.int16]


def spoken(text: str, voice: str, rate: int = 140) -> NDArray[np.float64]:
    """``text`` at 16 kHz in units of int16, ``rate`` words a minute."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise MissingTool("espeak-ng is not installed.", "Run: apt install espeak-ng")
    command = [program, "-v", voice, "-s", str(rate), "--stdout", text]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    sound = np.frombuffer(wav[_WAV_HEADER:], "<i2").astype(np.float64)
    its_rate = int.from_bytes(wav[_RATE_AT : _RATE_AT + 4], "little")
    count = len(sound) * RATE // its_rate
    return np.interp(np.arange(count) * its_rate / RATE, np.arange(len(sound)), sound)


def say(text: str, voice: str, *, rate: int = 140, noise: float = 0, seed: int = 0) -> Int16Array:
    """``text`` at 16 kHz between silences, ``rate`` words a minute, white noise of that RMS over
    all."""
    before, behind = np.zeros(int(RATE * BEFORE)), np.zeros(int(RATE * BEHIND))
    sound = np.concatenate([before, spoken(text, voice, rate), behind])
    sound += np.random.default_rng(seed).normal(0, 1, len(sound)) * noise
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)


def package_model(name: str) -> Path:
    """pymicro-wakeword's `name`.tflite; its .json lies beside it."""
    spec = importlib.util.find_spec("pymicro_wakeword")
    if spec is None or spec.origin is None:
        raise MissingTool("pymicro-wakeword is not installed.", "Run: pip install pymicro-wakeword")
    return Path(spec.origin).parent / "models" / f"{name}.tflite"


def micro_wake_word_rule(
    outputs: NDArray[Any], cutoff: float, window: int, refractory: int
) -> list[int]:
    """pymicro-wakeword's rule in its own words: the steps at which the mean of the uint8
    probabilities exceeds the cutoff, less those within ``refractory`` steps."""
    probabilities: deque[float] = deque(maxlen=window)
    steps: list[int] = []
    for step, output in enumerate(outputs.reshape(-1).tolist()):
        probabilities.append(output / 256)
        full = len(probabilities) == window
        loud_enough = full and statistics.mean(probabilities) > cutoff
        if loud_enough and (not steps or step - steps[-1] >= refractory):
            steps.append(step)
    return steps
