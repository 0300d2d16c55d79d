"""Post-training quantization to TensorFlow Lite's int8 scheme.

    activations  int8 per tensor: real = scale (q - zero_point); the range always holds 0, which is
                 exact
    weights      int8 in [-127, 127], one scale an output channel, zero point 0
    biases       int32 at scale(in) * scale(weights)

Scales are chosen so that no accumulator can leave int32, and that every requantization is a
multiplication by less than 1/2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import unary
from nanotool.errors import InvalidModel, NanoError
from nanotool.identifiers import model_identifier
from nanotool.inputs import to_device
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    UNCLAMPED,
    AveragePool2D,
    Conv2D,
    Dense,
    Graph,
    Int8Array,
    MaxPool2D,
    Node,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Softmax,
    Transpose,
    Unary,
)
from nanotool.numerics import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT
from nanotool.quantize.calibrate import (
    Progress,
    Range,
    Steps,
    as_batches,
    calibrate,
    passes_needed,
)
from nanotool.quantize.evaluate import real_numbers
from nanotool.quantize.quality import UNBOUNDED, measure
from nanotool.validate import ACCUMULATOR_LIMIT, validate

SAMPLES = 8  # calibration inputs kept in the QGraph
QUALITY_INPUTS = 1024  # calibration inputs over which the quality is measured, at most

# Outside of these inputs the function's int8 output stays what it is at their end, so the range of
# a tensor that only such functions read need not cover more. sigmoid(-6.24) is half of 1/256 and
# sigmoid(5.14) rounds to 255/256; tanh(-3.12) rounds to -128/128 and tanh(2.57) to 127/128.
USEFUL_INPUT: Mapping[str, Range] = {
    "sigmoid": (-6.3, 5.2),
    "tanh": (-3.2, 2.6),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
}

# How much further than seen the min-max range of a model's output reaches, at either end that no
# clamp sets: new inputs go beyond the calibration's extremes, and no later layer forgives it.
HEADROOM = 1 / 16

# Ops that only choose, average or move: their output has the input's scale and zero point.
KEEPS_SCALE = (MaxPool2D, AveragePool2D, Reshape, Transpose)

# Scales stay where float32 products of two of them are normal numbers and softmax has a form.
SCALE_MIN, SCALE_MAX = 2.0**-24, 2.0**60
WEIGHT_SCALE_MIN = 2.0**-96
# A quantized bias stays below, which leaves the sums of products the rest of int32.
BIAS_LIMIT = 2**29
# The least factor from accumulator to output: weights below it are less than noise.
FACTOR_MIN = 2.0**-28
FACTOR_MAX = 0.4999


def quantize(
    graph: Graph,
    calibration: Iterable[NDArray[Any]],
    *,
    observer: str = "minmax",
    labels: Iterable[str] = (),
    source: str = "torch",
    progress: Progress | None = None,
) -> QGraph:
    """The int8 graph of a prepared float ``graph``, with quality and samples.

    ``calibration`` yields batches N x input shape in the user's layout (C, H, W), as the model gets
    them in use. A sequence is read several times, piece by piece; another iterable is first
    read into memory.
    ``observer``: "minmax", "percentile" or "mse". ``labels`` names the output's classes,
    ``source`` says where the model came from.
    ``progress(done, total)`` is called after every batch of every pass.

    Raises NanoError for bad data, InvalidModel for values that are not finite.
    """
    if not graph.channels_last:
        raise NanoError(
            f"{graph.name} is not prepared.", "Call nanotool.passes.prepare(graph) first."
        )
    batches = as_batches(calibration)
    judged = _first(batches, QUALITY_INPUTS)
    step = Steps(progress, len(batches) * passes_needed(observer) + len(judged))
    ranges = calibrate(graph, batches, observer, step)
    useful = {name: bounds for name in ranges if (bounds := useful_range(graph, name)) != UNBOUNDED}
    if observer == "minmax":
        ranges = with_headroom(graph, ranges)
    quantizer = _Quantizer(graph, ranges, useful)
    result = quantizer.run(tuple(labels), source)
    validate(result)
    samples = to_device(result, np.concatenate(_first(batches, SAMPLES)))
    samples.setflags(write=False)
    quality = measure(graph, result, _counted(judged, step), useful)
    return replace(result, quality=quality, samples=samples)


def _first(batches: Iterable[NDArray[Any]], count: int) -> list[NDArray[np.float32]]:
    """The first ``count`` samples, still in batches."""
    found: list[NDArray[np.float32]] = []
    for batch in batches:
        if count <= 0:
            break
        found.append(real_numbers(batch)[:count].astype(np.float32))
        count -= len(found[-1])
    return found


def _counted(batches: list[NDArray[np.float32]], step: Steps) -> Iterable[NDArray[np.float32]]:
    for batch in batches:
        yield batch
        step()


def useful_range(graph: Graph, tensor: str) -> Range:
    """Outside of it, values of ``tensor`` make no difference to any of its readers."""
    if tensor == graph.output:
        return UNBOUNDED
    low, high = math.inf, -math.inf
    for reader in graph.consumers(tensor):
        match reader.op:
            case Unary(function):
                bounds = USEFUL_INPUT.get(function, UNBOUNDED)
            case MaxPool2D() | Reshape() | Transpose() if reader.clamp == UNCLAMPED:
                bounds = useful_range(graph, reader.name)
            case _:
                bounds = UNBOUNDED
        low, high = min(low, bounds[0]), max(high, bounds[1])
    return (low, high) if low <= high else UNBOUNDED


def with_headroom(graph: Graph, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """``ranges`` with HEADROOM for the layer, if it is a weighted one, that scales the output."""
    name = graph.output
    while name != graph.input and isinstance(graph.node(name).op, KEEPS_SCALE):
        name = graph.node(name).inputs[0]
    result = dict(ranges)
    if name != graph.input and isinstance(graph.node(name).op, (Conv2D, Dense)):
        low, high = min(ranges[name][0], 0.0), max(ranges[name][1], 0.0)
        margin = HEADROOM * (high - low)
        floor, ceiling = graph.node(name).clamp
        result[name] = (max(low - margin, floor), min(high + margin, ceiling))
    return result


def activation(name: str, shape: tuple[int, ...], bounds: Range, least: float = 0.0) -> QTensor:
    """The tensor that covers ``bounds`` and 0, with 0 exact and a scale of at least ``least``."""
    low, high = min(bounds[0], 0.0), max(bounds[1], 0.0)
    scale = (high - low) / (INT8_MAX - INT8_MIN)
    if scale == 0:
        scale = 1.0  # always 0: any scale will do
    if not scale <= SCALE_MAX:
        raise InvalidModel(
            f"Tensor {name} reaches from {low:.3g} to {high:.3g}.",
            "Values of that size mean that the model diverged: train it again.",
        )
    scale = float(np.float32(max(scale, least, SCALE_MIN)))
    # As many steps below 0 as the range needs; rounding may move either end by half a step.
    zero_point = round(INT8_MIN - low / scale)
    return QTensor(name, shape, scale, max(INT8_MIN, min(INT8_MAX, zero_point)))


@dataclass
class _Quantizer:
    """The int8 graph as far as it is built."""

    graph: Graph
    ranges: Mapping[str, Range]
    useful: Mapping[str, Range]
    tensors: dict[str, QTensor] = field(default_factory=dict)
    ops: list[QOp] = field(default_factory=list)

    def run(self, labels: tuple[str, ...], source: str) -> QGraph:
        """Quantize every node in order."""
        graph = self.graph
        self._add_activation(graph.input)
        for node in graph.nodes:
            self._node(node)
        return QGraph(
            name=model_identifier(graph.name),
            tensors=self.tensors,
            ops=tuple(self.ops),
            input=graph.input,
            output=graph.output,
            input_permutation=graph.input_permutation,
            labels=labels,
            source=source,
        )

    def _add_activation(self, name: str, least: float = 0.0) -> QTensor:
        low, high = self.useful.get(name, UNBOUNDED)
        seen = self.ranges[name]
        bounds = (min(max(seen[0], low), high), max(min(seen[1], high), low))
        tensor = activation(name, self.graph.shape(name), bounds, least)
        self.tensors[name] = tensor
        return tensor

    def _node(self, node: Node) -> None:
        source = self.tensors[node.inputs[0]]
        match node.op:
            case Conv2D() | Dense():
                self._weighted(node, source)
                return
            case Softmax():
                tensor = QTensor(node.name, node.shape, SOFTMAX_SCALE, SOFTMAX_ZERO_POINT)
            case Unary(function):
                fixed = unary.fixed_output(function)
                if fixed is None:
                    self._add_activation(node.name)
                    tensor = self.tensors[node.name]
                else:
                    tensor = QTensor(node.name, node.shape, *fixed)
            case _ if isinstance(node.op, KEEPS_SCALE):
                tensor = replace(source, name=node.name, shape=node.shape)
            case _:
                raise InvalidModel(
                    f"{node.name}: {type(node.op).__name__} has no int8 form.",
                    "Call nanotool.passes.prepare(graph) first.",
                )
        self.tensors[node.name] = tensor
        self.ops.append(QOp(node.name, node.op, node.inputs, clamp=quantized_clamp(node, tensor)))

    def _weighted(self, node: Node, source: QTensor) -> None:
        """A convolution or dense layer."""
        assert node.weight is not None
        weight = node.weight.reshape(len(node.weight), -1).astype(np.float64)
        bias = np.zeros(len(weight)) if node.bias is None else node.bias.astype(np.float64)
        natural = np.maximum(np.abs(weight).max(axis=1, initial=0.0) / INT8_MAX, WEIGHT_SCALE_MIN)
        # The natural output scale, raised until one accumulator step is below half an output step.
        used = np.abs(weight).max(axis=1, initial=0.0) > 0
        finest = source.scale * float((natural * used).max(initial=0.0)) / FACTOR_MAX
        target = self._add_activation(node.name, least=finest)
        scale = weight_scales(natural, bias, source.scale, target.scale)
        integers, scale = quantized_weights(weight, bias, scale, source.scale)
        bias32 = quantized_bias(bias, scale, source.scale).astype(np.int32)
        quantized = integers.reshape(node.weight.shape)
        for array in (quantized, scale, bias32):
            array.setflags(write=False)
        self.ops.append(
            QOp(
                name=node.name,
                op=node.op,
                inputs=node.inputs,
                weight=quantized,
                weight_scale=scale,
                bias=None if node.bias is None else bias32,
                clamp=quantized_clamp(node, target),
            )
        )


def weight_scales(
    natural: NDArray[np.float64], bias: NDArray[np.float64], source: float, target: float
) -> NDArray[np.float32]:
    """The scale of each output channel's weights: ``natural`` (max |w| / 127), raised for a channel
    whose weights are so small, or all zero, that its bias would not fit or its factor would vanish.
    Not above a factor of 1/2: a bias that even then does not fit saturates the output anyway.
    """
    least = np.maximum(np.abs(bias) / (source * BIAS_LIMIT), FACTOR_MIN * target / source)
    most = FACTOR_MAX * target / source
    return np.maximum(natural, np.minimum(least, most)).astype(np.float32)


def quantized_bias(
    bias: NDArray[np.float64], scale: NDArray[np.float32], source: float
) -> NDArray[np.float64]:
    """Whole numbers at scale(in) * scale(weights), saturating at twice BIAS_LIMIT."""
    integers = np.rint(bias / (source * scale.astype(np.float64)))
    return np.clip(integers, -2 * BIAS_LIMIT, 2 * BIAS_LIMIT)


def quantized_weights(
    weight: NDArray[np.float64],
    bias: NDArray[np.float64],
    scale: NDArray[np.float32],
    source: float,
) -> tuple[Int8Array, NDArray[np.float32]]:
    """int8 weights [channels, terms], and the scales that they have.

    A scale is doubled as long as some sum of its channel could leave int32.
    """
    scale = scale.copy()
    while True:
        step = scale.astype(np.float64)
        integers = np.clip(np.rint(weight / step[:, None]), -INT8_MAX, INT8_MAX)
        bound = 256 * np.abs(integers).sum(axis=1) + np.abs(quantized_bias(bias, scale, source))
        over = bound >= ACCUMULATOR_LIMIT
        if not over.any():
            return integers.astype(np.int8), scale
        scale[over] *= 2


def quantized_clamp(node: Node, tensor: QTensor) -> tuple[int, int]:
    """The fused clamp in units of the output."""
    if node.clamp == UNCLAMPED:
        return INT8_MIN, INT8_MAX
    low, high = (unary.quantized_bound(bound, tensor) for bound in node.clamp)
    return low, high
