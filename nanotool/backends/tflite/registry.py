"""Which function writes which operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from nanotool.backends.tflite.file import File
from nanotool.ir import QOp

Emitter: TypeAlias = Callable[[File, QOp], None]
EMITTERS: dict[type, Emitter] = {}


def emits(operator: type) -> Callable[[Emitter], Emitter]:
    """Register the function below as the writer of ``operator``."""

    def register(emitter: Emitter) -> Emitter:
        EMITTERS[operator] = emitter
        return emitter

    return register
