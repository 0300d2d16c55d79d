"""Models that listen, sounds, and what microWakeWord says of them."""

from __future__ import annotations

import importlib.util
import shutil
import statistics
import subprocess
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from handmade import GraphBuilder
from numpy.typing import NDArray

from nanotool.ir import QGraph
from nanotool.sensing.description import (
    ClassRule,
    MicroFrontendSettings,
    Rule,
    Scaling,
    StreamRule,
)
from nanotool.signal.fft import Int16Array

RATE = 16000
EARS = MicroFrontendSettings(sample_rate=8000, window_ms=8, step_ms=4, channels=8, upper_hz=4000.0)


def package_model(name: str) -> Path:
    """pymicro-wakeword's `name`.tflite; its .json lies beside it."""
    spec = importlib.util.find_spec("pymicro_wakeword")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "models" / f"{name}.tflite"


def listener(rule: Rule, hop: int = 2, frames: int = 3) -> QGraph:
    """A net of no meaning that hears ``frames`` frames of 8 features and tells 4 classes."""
    builder = GraphBuilder("listener", (frames, 8, 1))
    builder.flatten("flat")
    builder.dense("fc", 4)
    graph = builder.graph()
    unit = graph.output_tensor.scale
    classes = tuple(
        replace(one, threshold=one.threshold * unit, release=one.release and one.release * unit)
        for one in rule.classes
    )
    kept = rule if rule.vote else replace(rule, classes=classes)
    return replace(graph, stream=StreamRule(EARS, Scaling(3, -500, 7), kept, hop))


def loud(samples: int, seed: int = 0) -> Int16Array:
    """Noise whose loudness changes every 25 ms."""
    rng = np.random.default_rng(seed)
    level = np.repeat(10 ** rng.uniform(0, 4.3, samples // 200 + 1), 200)[:samples]
    return np.clip(rng.normal(0, 1, samples) * level, -32768, 32767).astype(np.int16)


def say(text: str, voice: str, *, rate: int = 140, noise: float = 0, seed: int = 0) -> Int16Array:
    """espeak-ng's voice at 16 kHz between 1 s and 1.5 s of silence; white noise of that RMS over
    all."""
    command = [shutil.which("espeak-ng") or "espeak-ng", "-v", voice, "-s", str(rate)]
    wav = subprocess.run([*command, "--stdout", text], capture_output=True, check=True).stdout
    spoken = np.frombuffer(wav[44:], "<i2").astype(np.float64)
    its_rate = int.from_bytes(wav[24:28], "little")
    count = len(spoken) * RATE // its_rate
    resampled = np.interp(np.arange(count) * its_rate / RATE, np.arange(len(spoken)), spoken)
    sound = np.concatenate([np.zeros(RATE), resampled, np.zeros(RATE * 3 // 2)])
    sound += np.random.default_rng(seed).normal(0, 1, len(sound)) * noise
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)


def micro_wake_word_rule(
    outputs: NDArray[Any], cutoff: float, window: int, refractory: int
) -> list[int]:
    """pymicro-wakeword's words: the steps at which a uint8 probability's mean exceeds the cutoff,
    less those within ``refractory`` steps."""
    probabilities: deque[float] = deque(maxlen=window)
    steps: list[int] = []
    for step, output in enumerate(outputs.reshape(-1).tolist()):
        probabilities.append(output / 256)
        full = len(probabilities) == window
        loud_enough = full and statistics.mean(probabilities) > cutoff
        if loud_enough and (not steps or step - steps[-1] >= refractory):
            steps.append(step)
    return steps


def one_class(threshold: float = 0.0, **more: Any) -> ClassRule:
    """Class 1."""
    return ClassRule(1, threshold, **more)
