"""Quantization-aware training: a module that computes what the int8 model will, with gradients."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from nanotool.errors import NanoError
from nanotool.ir import ZERO_POINTS, Graph, Node, Pad, QGraph, QOp, QTensor, unclamped
from nanotool.ops import Layer, facts, layer_of
from nanotool.passes.layout import canonical_order
from nanotool.quantization.aware import integers
from nanotool.quantization.aware.forms import Learned, Tensor, forms, view
from nanotool.quantization.calibrate import Range
from nanotool.quantization.quantizer import build
from nanotool.quantization.ranges import useful_ranges
from nanotool.quantization.sharing import share


class QuantizationAware(nn.Module):
    """A prepared float graph with the int8 model's arithmetic in its forward pass.

    Weights and biases (batch norm is folded into them) are parameters, and so are the tensors'
    ranges if they are ``learned``. Each forward makes the int8 graph of them that
    `nanotool.quantize` would make, and gives its outputs, exactly, as real numbers in the layout of
    the module that it came from. Backward, roundings count as if they were none; what saturates
    has no gradient, but moves the end of a learned range (learned step sizes, Esser et al. 2020).

    Dropout and the like are as in eval mode, in training, too.
    """

    def __init__(
        self,
        graph: Graph,
        ranges: Mapping[str, Range],
        *,
        learned: bool = True,
        int16: Collection[str] | None = (),
    ) -> None:
        """``graph``: canonical, without states. ``ranges``: of every tensor, to begin with.
        ``int16``: tensors of 16 bits, as `nanotool.quantization.quantize` takes them."""
        super().__init__()
        self._graph, self._learned = graph, learned
        self.int16 = None if int16 is None else tuple(int16)
        self._useful = useful_ranges(graph, ranges)
        groups = share(graph, ranges, self._useful, headroom=False).groups
        first = {id(group): group.bounds for group in groups.values()}
        numbers = {group: row for row, group in enumerate(first)}
        # Tensors that share a quantization share a row of ranges.
        self._functions = {node.name: node.op for node in graph.nodes if not facts(node.op).int8}
        self._rows = {name: numbers[id(group)] for name, group in groups.items()}
        self.weights, self.biases = nn.ParameterDict(), nn.ParameterDict()
        for node in graph.nodes:
            if node.weight is not None:
                self.weights[_key(node)] = nn.Parameter(torch.tensor(node.weight))
                bias = np.zeros(node.shape[-1], np.float32) if node.bias is None else node.bias
                self.biases[_key(node)] = nn.Parameter(torch.tensor(bias))
        self.observed: Tensor
        bounds = torch.tensor(list(first.values()), dtype=torch.float64)
        self.register_buffer("observed", bounds.reshape(-1, 2))
        growth = torch.zeros(bounds.reshape(-1, 2).shape)
        self.growth = nn.Parameter(growth, requires_grad=learned)  # log of range / observed range
        self._known: tuple[Any, QGraph] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> QuantizationAware:
        """A module of its own with the same weights and ranges."""
        copied = QuantizationAware(
            self._graph, self.ranges, learned=self._learned, int16=self.int16
        )
        copied.load_state_dict(self.state_dict())
        memo[id(self)] = copied.to(self.observed.device).train(self.training)
        return copied

    # --- What it is by now -----------------------------------------------------------------------

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs' names."""
        return self._graph.inputs

    @property
    def graph(self) -> Graph:
        """The float graph with the weights as they are now."""
        nodes = tuple(self._with_weights(node) for node in self._graph.nodes)
        return replace(self._graph, nodes=nodes)

    @property
    def ranges(self) -> dict[str, Range]:
        """Low and high of every tensor, as they are now."""
        bounds = self._bounds().detach().cpu().tolist()
        return {name: (bounds[row][0], bounds[row][1]) for name, row in self._rows.items()}

    @property
    def int8(self) -> QGraph:
        """The int8 graph that it computes with, as it is now."""
        state = [*self.weights.values(), *self.biases.values(), self.growth, self.observed]
        version = tuple((one.data_ptr(), one._version) for one in state)
        if self._known is None or self._known[0] != version:
            graph = build(self.graph, self.ranges, self._useful, headroom=False, int16=self.int16)
            self._known = (version, graph)
        return self._known[1]

    def _bounds(self) -> Tensor:
        return self.observed * self.growth.to(torch.float64).exp()

    def _with_weights(self, node: Node) -> Node:
        key = _key(node)
        if key not in self.weights:
            return node
        weight, bias = (
            part[key].detach().cpu().numpy().astype(np.float32)
            for part in (self.weights, self.biases)
        )
        for array, name in ((weight, "weights"), (bias, "biases")):
            if not np.isfinite(array).all():
                raise NanoError(
                    f"The {name} of {node.name} are not finite any more.", "Lower the rate."
                )
        return replace(node, weight=weight, bias=bias)

    # --- Forward ---------------------------------------------------------------------------------

    def forward(self, *inputs: Tensor) -> Any:
        """The outputs for ``inputs``, N x input shape each, as the float module takes and gives
        them: a tensor, or a tuple of several."""
        graph = self.int8
        real: dict[str, Tensor] = {}
        whole: dict[str, Tensor] = {}
        bounds = self._bounds() if self._learned else None
        for tensor, order, x in zip(graph.input_tensors, graph.permutations, inputs, strict=True):
            turned = x.permute(0, *(1 + axis for axis in order)) if order else x
            q = quantized(turned.detach(), tensor)
            whole[tensor.name] = q
            clamp, ends = unclamped(tensor.dtype), self._range(tensor, bounds)
            real[tensor.name] = _rounded(turned, q, tensor, clamp, ends)
        device = inputs[0].device
        constants = integers.constants(graph, 1, device)
        whole |= constants
        real |= {name: _real(q, graph.tensors[name]) for name, q in constants.items()}
        for op in graph.ops:
            with torch.no_grad():
                whole[op.name] = integers.compute(graph, op, whole)
            real[op.name] = self._op(layer_of(graph, op), real, whole[op.name], bounds)
        outputs = [_in_user_order(real[name]) for name in graph.outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _op(
        self, layer: Layer[Any], real: Mapping[str, Tensor], q: Tensor, bounds: Tensor | None
    ) -> Tensor:
        op, target = layer.qop, layer.output
        if facts(op.op).indices:
            return q
        inputs = [real[name] for name in op.inputs]
        if isinstance(op.op, Pad) and op.op.value is not None:
            inputs.append(_real(torch.tensor(float(op.op.value)), target))
        # A table has no slopes: the function that it was made of has.
        real_op = self._functions.get(op.name, op.op)
        seen = view(layer, real_op)
        y = forms.of(real_op)(seen, self._learned_of(layer, q.device), *inputs)
        return _rounded(y, q, target, op.clamp, self._range(target, bounds))

    def _learned_of(self, layer: Layer[Any], device: torch.device) -> Learned:
        """The layer's parameters, with the values that int8 and int32 give them."""
        op = layer.qop
        if op.weight is None:
            return Learned()
        key = op.name.replace(".", "/")
        weight, bias = self.weights[key], self.biases[key]
        step = layer.weight_scale.astype(np.float64)
        shaped = step.reshape(-1, *(1,) * (layer.weight.ndim - 1))
        values = (layer.weight * shaped, layer.bias * step * layer.input.scale)
        as_int8, as_int32 = (
            torch.tensor(value.astype(np.float32), device=device) for value in values
        )
        return Learned(weight + (as_int8 - weight).detach(), bias + (as_int32 - bias).detach())

    def _range(self, tensor: QTensor, bounds: Tensor | None) -> Tensor | None:
        """The learned ends of ``tensor``; None where they are not learned."""
        row = self._rows.get(tensor.name)
        return None if bounds is None or row is None else bounds[row].to(torch.float32)


def refuse_steps(graph: Graph) -> None:
    """NanoError for a graph with states or a recurrent layer: no gradient crosses its steps."""
    if graph.states:
        raise NanoError(
            f"{graph.name} has states, through which no gradient is carried.",
            "Train the float model, and quantize it.",
        )
    loop = next((node.name for node in graph.nodes if facts(node.op).recurrent), "")
    if loop:
        raise NanoError(
            f"{loop} is a recurrent layer, through whose steps no gradient is carried.",
            "Train the float model, and quantize it.",
        )


def _key(node: Node | QOp) -> str:
    """A parameter's name: no dots are allowed there."""
    return node.name.replace(".", "/")


def quantized(x: Tensor, tensor: QTensor) -> Tensor:
    """QTensor.quantize: integers in float32."""
    scaled = x.to(torch.float64) / tensor.scale
    rounded = torch.trunc(scaled + torch.copysign(torch.full_like(scaled, 0.5), scaled))
    return (rounded + tensor.zero_point).clamp(*unclamped(tensor.dtype)).to(torch.float32)


def _real(q: Tensor, tensor: QTensor) -> Tensor:
    """The real values of integers."""
    return ((q.to(torch.float64) - tensor.zero_point) * tensor.scale).to(torch.float32)


def _rounded(
    y: Tensor, q: Tensor, tensor: QTensor, clamp: tuple[int, int], ends: Tensor | None
) -> Tensor:
    """The values of ``q``, with the gradients of ``y``, which ``q`` is the rounding of."""
    low, high = ((bound - tensor.zero_point) * tensor.scale for bound in clamp)
    inside, value = y.clamp(low, high), _real(q, tensor)
    if ends is None:
        return _straight(value, inside)
    # Each end gets the gradients of what saturates there, the step those of the rounding errors.
    below, above = (y < low).to(y.dtype).detach(), (y > high).to(y.dtype).detach()
    least, most = unclamped(tensor.dtype)
    if clamp[0] > least:
        below = torch.zeros_like(below)
    if clamp[1] < most:
        above = torch.zeros_like(above)
    damped = _damped(ends, y.numel())
    step = (damped[1] - damped[0]) / (most - least)
    errors = ((value - inside) / tensor.scale).detach() * (1 - below - above)
    moved = below * damped[0] + above * damped[1] + errors * step
    return _straight(value, inside + moved)


class _Straight(torch.autograd.Function):
    """A value with the gradients of another one."""

    @staticmethod
    def forward(_ctx: Any, value: Tensor, _other: Tensor) -> Tensor:
        """The value, to the bit."""
        return value.clone()

    @staticmethod
    def backward(_ctx: Any, *gradients: Any) -> Any:
        """All of it goes to the other one."""
        return None, gradients[0]


def _straight(value: Tensor, other: Tensor) -> Tensor:
    y: Tensor = _Straight.apply(value, other)  # type: ignore[no-untyped-call]
    return y


def _damped(ends: Tensor, elements: int) -> Tensor:
    """``ends`` with gradients that do not grow with the number of elements."""
    factor = 1 / math.sqrt(127 * elements)
    return ends * factor + (ends * (1 - factor)).detach()


def _in_user_order(y: Tensor) -> Tensor:
    """An output as PyTorch has it: C, H, W of H, W, C."""
    order = canonical_order(y.ndim - 1)
    back = sorted(range(len(order)), key=order.__getitem__)
    return y.permute(0, *(1 + axis for axis in back))


def aware(
    graph: Graph, int8: QGraph, *, learned: bool, int16: Collection[str] | None = ()
) -> QuantizationAware:
    """The module of a canonical ``graph`` that begins as its ``int8`` graph: with its ranges, and
    with biases that were corrected. ``int16``: the tensors for which that has 16 bits."""
    bounds = {
        tensor.name: tuple((q - tensor.zero_point) * tensor.scale for q in _ends(tensor))
        for tensor in int8.tensors.values()
        if tensor.dtype in ZERO_POINTS
    }
    names = (*graph.inputs, *(node.name for node in graph.nodes))
    ranges = {name: (bounds[name][0], bounds[name][1]) for name in names if name in bounds}
    corrected = {op.name: layer_of(int8, op) for op in int8.ops if op.bias is not None}
    nodes = []
    for node in graph.nodes:
        layer = corrected.get(node.name)
        if layer is None:
            nodes.append(node)
            continue
        step = layer.weight_scale.astype(np.float64) * layer.input.scale
        nodes.append(replace(node, bias=(layer.bias * step).astype(np.float32)))
    trained = replace(graph, nodes=tuple(nodes))
    return QuantizationAware(trained, ranges, learned=learned, int16=int16)


def _ends(tensor: QTensor) -> tuple[int, int]:
    """The integers of its range's ends; of int16, whose range is symmetric, without the last."""
    low, high = unclamped(tensor.dtype)
    return (-high, high) if tensor.dtype == "int16" else (low, high)
