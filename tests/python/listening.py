"""Models that listen, and sounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from handmade import GraphBuilder

from nanotool.ir import QGraph
from nanotool.sensing.description import (
    ClassRule,
    FrontEnd,
    MelSettings,
    MicroFrontendSettings,
    Rule,
    Scaling,
    StreamRule,
)
from nanotool.signal.fft import Int16Array

EARS = MicroFrontendSettings(sample_rate=8000, window_ms=8, step_ms=4, channels=8, upper_hz=4000.0)


MEL_EARS = MelSettings(
    sample_rate=8000, window=64, step=32, fft_size=64, bands=8, lower_hz=100.0, upper_hz=4000.0
)


def listener(rule: Rule, hop: int = 2, frames: int = 3, ears: FrontEnd = EARS) -> QGraph:
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
    return replace(graph, stream=StreamRule(ears, Scaling(3, -500, 7), kept, hop))


def loud(samples: int, seed: int = 0) -> Int16Array:
    """Noise whose loudness changes every 25 ms."""
    rng = np.random.default_rng(seed)
    level = np.repeat(10 ** rng.uniform(0, 4.3, samples // 200 + 1), 200)[:samples]
    return np.clip(rng.normal(0, 1, samples) * level, -32768, 32767).astype(np.int16)


def one_class(threshold: float = 0.0, **more: Any) -> ClassRule:
    """Class 1."""
    return ClassRule(1, threshold, **more)
