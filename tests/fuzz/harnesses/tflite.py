""".tflite files: a sound graph, or one clear error with a way out."""

from __future__ import annotations

from bench.fuzz_tflite import SOUND, import_model


def test(data: bytes) -> None:
    """Import ``data`` as a .tflite file."""
    kind, message = import_model(data)
    assert kind in SOUND, message
