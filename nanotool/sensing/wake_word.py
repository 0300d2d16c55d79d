"""microWakeWord's models: a .tflite with a .json beside it, as ESPHome and pymicro-wakeword take.

Features are those of the micro frontend, quantized as ESPHome does; a wake word is heard when the
mean of the last N probabilities exceeds the cutoff (pymicro-wakeword's rule), then not again for
two seconds.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from nanotool.errors import NanoError
from nanotool.ir import QGraph
from nanotool.sensing.description import ESPHOME, ClassRule, MicroFrontendSettings, Rule, StreamRule
from nanotool.sensing.rule import check_stream

MOST_BYTES = 1 << 16  # of such a .json
HINT = "It must be microWakeWord's: type, and micro with probability_cutoff, sliding_window_size."


def with_wake_word(graph: QGraph, path: Path) -> QGraph:
    """``graph`` as the .json beside the .tflite file ``path`` says; unchanged if none of
    microWakeWord's is there. `NanoError` for one that cannot be."""
    file = path.with_suffix(".json")
    found = _read(file)
    if found is None:
        return graph
    micro = found.get("micro")
    if not isinstance(micro, dict):
        raise NanoError(f"{file} has no `micro`.", HINT)
    front_end = MicroFrontendSettings(step_ms=_whole(micro, "feature_step_size", 10, file))
    window = _whole(micro, "sliding_window_size", None, file)
    cutoff = micro.get("probability_cutoff")
    if isinstance(cutoff, bool) or not isinstance(cutoff, (int, float)):
        raise NanoError(f"{file}: `probability_cutoff` is no number.", HINT)
    rule = Rule((ClassRule(0, float(cutoff)),), window=window)
    hop = graph.input_tensor.size // front_end.channels
    labels = graph.labels or _labels(graph, found.get("wake_word"))
    listening = replace(graph, labels=labels, stream=StreamRule(front_end, ESPHOME, rule, hop))
    try:
        check_stream(listening)
    except NanoError as error:
        raise NanoError(f"{file} does not fit {path.name}: {error.message}", HINT) from error
    return listening


def _labels(graph: QGraph, word: Any) -> tuple[str, ...]:
    """The wake word as the name of the one class."""
    fits = isinstance(word, str) and 0 < len(word) <= 100 and word.isprintable()
    return (word,) if fits and graph.output_tensors[0].size == 1 else ()


def _read(file: Path) -> dict[str, Any] | None:
    """The object in ``file`` if it is of microWakeWord; files of others lie beside models, too."""
    try:
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            return None
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("type") == "micro" else None


def _whole(micro: dict[str, Any], key: str, default: int | None, file: Path) -> int:
    value = micro.get(key, default)
    if type(value) is not int or not 1 <= value <= 1000:
        raise NanoError(f"{file}: `{key}` is no whole number from 1 to 1000.", HINT)
    return value
