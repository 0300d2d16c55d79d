"""What a check sees of a graph: one op and its tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from nanotool.errors import InvalidModel
from nanotool.ir import QOp, QTensor, Shape

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Layer:
    """One op of a graph."""

    op: QOp
    inputs: tuple[QTensor, ...]
    output: QTensor
    constants: frozenset[str]  # names of the graph's constants

    @property
    def input(self) -> QTensor:
        """The first input."""
        return self.inputs[0]

    def refuse(self, what: str, hint: str = "") -> NoReturn:
        """Raise InvalidModel with the layer's name."""
        raise InvalidModel(f"{self.op.name}: {what}.", hint)

    def axis(self, axis: int) -> int:
        """``axis`` if the input has it."""
        if not 0 <= axis < len(self.input.shape):
            self.refuse(f"its input {self.input.shape} has no axis {axis}")
        return axis

    def image(self) -> tuple[int, int, int]:
        """Height, width and channels of the input."""
        if len(self.input.shape) != 3:
            self.refuse(f"its input {self.input.shape} is not H, W, C")
        height, width, channels = self.input.shape
        return height, width, channels

    def keeps_quantization(self) -> None:
        """Every input has the output's scale and zero point."""
        for tensor in self.inputs:
            if (tensor.scale, tensor.zero_point) != (self.output.scale, self.output.zero_point):
                self.refuse(f"{type(self.op.op).__name__} has to keep scale and zero point")

    def has_output(self, scale: float, zero_point: int, words: str) -> None:
        """The output has the scale and zero point that its operator prescribes."""
        if (self.output.scale, self.output.zero_point) != (scale, zero_point):
            self.refuse(
                f"a {words}'s output has scale {_fraction(scale)} and zero point {zero_point}"
            )

    def computes(self, function: Callable[..., _T], *arguments: object) -> _T:
        """``function(*arguments)``; what it refuses is refused in the layer's name."""
        try:
            return function(*arguments)
        except InvalidModel as error:
            raise InvalidModel(f"{self.op.name}: {error.message}", error.hint) from None

    def broadcast(self) -> Shape:
        """The shape of all inputs together."""
        axes = max(len(tensor.shape) for tensor in self.inputs)
        shapes = [(*(1,) * (axes - len(t.shape)), *t.shape) for t in self.inputs]
        result = []
        for sizes in zip(*shapes, strict=True):
            wanted = {size for size in sizes if size != 1}
            if len(wanted) > 1:
                together = " and ".join(str(tensor.shape) for tensor in self.inputs)
                self.refuse(f"its inputs {together} do not broadcast")
            result.append(wanted.pop() if wanted else 1)
        return tuple(result)


def _fraction(scale: float) -> str:
    return f"1/{round(1 / scale)}"
