"""Which function writes which operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from nanotool.backends.tflite.file import File
from nanotool.ir import Op
from nanotool.ops import Layer, Registry

HINT = "Keep the .nano file, or export the model as C."

Emitter: TypeAlias = Callable[[File, Layer[Any]], None]


class Emitters(Registry[Emitter]):
    """With the operators of the schema that each function writes, beside the padding in front and
    the clamp behind."""

    def __init__(self) -> None:
        super().__init__("backends/tflite")
        self.writes: dict[type[Op], tuple[int, ...]] = {}

    def __call__(
        self, *operators: type[Op], writes: tuple[int, ...] = ()
    ) -> Callable[[Emitter], Emitter]:
        """Register the function below for ``operators``; ``writes``: `Codes`."""
        self.writes.update(dict.fromkeys(operators, writes))
        return super().__call__(*operators)


emits = Emitters()
