"""The layers of a sequential model as an int8 graph: what can be exported, simulated, reported."""

from __future__ import annotations

from collections.abc import Sequence

from nanotool.identifiers import model_identifier
from nanotool.ir import (
    Conv2D,
    Dense,
    Op,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Shape,
    Transpose,
    Unary,
)
from nanotool.ir import MaxPool2D as MaxPoolOp
from nanotool.ir import Softmax as SoftmaxOp
from nanotool.sequential.layers import (
    PROBABILITIES,
    UNIT,
    Elementwise,
    Flatten,
    Layer,
    MaxPool2D,
    Softmax,
    Values,
    Weighted,
)
from nanotool.validate import validate


def to_graph(
    name: str, source: Values, layers: Sequence[Layer], labels: tuple[str, ...] = ()
) -> QGraph:
    """The graph whose bytes are those of `SequentialModel.forward`, for `nanotool.pipeline`.

    Its input is H, W, C on the device (``input_permutation`` says so); its output is in the user's
    order, C, H, W.
    """
    builder = _Builder(source)
    for index, layer in enumerate(layers):
        builder.add(f"{layer.kind.lower()}{index}", layer)
    builder.restore_order()
    graph = QGraph(
        name=model_identifier(name),
        tensors=builder.tensors,
        ops=tuple(builder.ops),
        inputs=("input",),
        outputs=(builder.end,),
        input_permutations=((1, 2, 0),) if len(source.shape) == 3 else (),
        labels=labels,
        source="nanotool.SequentialModel",
    )
    validate(graph)
    return graph


def _shape(values: Values) -> Shape:
    """On the device: H, W, C, or one axis."""
    return values.device_shape if len(values.shape) == 3 else (values.size,)


class _Builder:
    """Ops and tensors, one behind the other."""

    def __init__(self, source: Values) -> None:
        self.tensors = {"input": QTensor("input", _shape(source), source.scale, 0)}
        self.ops: list[QOp] = []
        self.end = "input"
        self.values = source

    def add(self, name: str, layer: Layer) -> None:
        """The ops of one layer."""
        target = layer.target
        match layer:
            case Flatten():
                self._flatten(name, target)
            case Weighted():
                if layer.window is None:
                    self._flatten(f"{name}.flatten", layer.source)
                self._weighted(name, layer)
            case MaxPool2D():
                self._op(name, MaxPoolOp(layer.window), _shape(target), target.scale)
            case Elementwise():
                self._op(name, Unary(layer.function), _shape(target), target.scale)
            case Softmax():
                inner = f"{name}.probabilities"
                grid = (PROBABILITIES.scale, PROBABILITIES.zero_point)
                self._op(inner, SoftmaxOp(layer.beta), _shape(target), *grid)
                self._op(name, Unary("identity"), _shape(target), UNIT)
        self.values = target

    def restore_order(self) -> None:
        """Bring the output from H, W, C to the user's C, H, W, if they differ."""
        grid = self.values.grid
        if grid is None or self.values.order() is None:
            return
        channels, height, width = grid
        scale = self.values.scale
        if self.tensors[self.end].shape != (height, width, channels):
            self._op("output.image", Reshape((height, width, channels)), None, scale)
        self._op("output.chw", Transpose((2, 0, 1)), grid, scale)
        if len(self.values.shape) == 1:
            self._op("output", Reshape(self.values.shape), None, scale)

    def _flatten(self, name: str, values: Values) -> None:
        if len(self.tensors[self.end].shape) != 1:
            self._op(name, Reshape((values.size,)), None, values.scale)

    def _weighted(self, name: str, layer: Weighted) -> None:
        op = Dense() if layer.window is None else Conv2D(layer.window)
        tensor = QTensor(name, _shape(layer.target), layer.target.scale, layer.zero_point)
        weight, bias, scale = layer.weight, layer.bias, layer.weight_scale
        self._append(tensor, QOp(name, op, (self.end,), weight, scale, bias))

    def _op(self, name: str, op: Op, shape: Shape | None, scale: float, zero: int = 0) -> None:
        shape = op.shape if isinstance(op, Reshape) else shape
        assert shape is not None
        self._append(QTensor(name, shape, scale, zero), QOp(name, op, (self.end,)))

    def _append(self, tensor: QTensor, op: QOp) -> None:
        self.tensors[tensor.name] = tensor
        self.ops.append(op)
        self.end = tensor.name
