"""Which function writes which operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from nanotool.backends.tflite.file import File
from nanotool.ops import Layer, Registry

Emitter: TypeAlias = Callable[[File, Layer[Any]], None]
emits = Registry[Emitter]("backends/tflite")
