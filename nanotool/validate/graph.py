"""The graph as a whole: names, order, types, borders."""

from __future__ import annotations

import math
import re

import numpy as np

from nanotool.errors import InvalidModel
from nanotool.ir import DTYPES, INT8_MAX, INT8_MIN, ArgMax, Op, QGraph, QTensor
from nanotool.ops import FACTS, Layer, facts, layer_of
from nanotool.ops.shape import output_shape
from nanotool.validate.weights import check_weights

MAX_AXES = 4
MAX_ELEMENTS = 2**28  # of one tensor
MAX_NAME = 256  # characters


def validate(graph: QGraph) -> None:
    """Raise InvalidModel, with the name of the tensor or layer, unless ``graph`` is sound."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", graph.name):
        raise InvalidModel(
            f"The model's name {graph.name[:80]!r} is no C identifier.",
            "Letters, digits and underscores, at most 64, no digit first.",
        )
    for key, tensor in graph.tensors.items():
        _check_tensor(key, tensor)
    for name in (graph.input, graph.output):
        if name not in graph.tensors:
            raise InvalidModel(f"The graph's input or output {name[:80]!r} is no tensor of it.")
    _check_constants(graph)
    _check_order(graph)
    _check_types(graph)
    for op in graph.ops:
        check_layer(layer_of(graph, op))
    _check_border(graph)


def _check_tensor(key: str, tensor: QTensor) -> None:
    name = tensor.name
    if key != name or not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidModel(f"The tensor {key[:80]!r} is named {name[:80]!r}.")
    if len(tensor.shape) > MAX_AXES or not all(size >= 1 for size in tensor.shape):
        raise InvalidModel(
            f"Tensor {name}: shape {tensor.shape[:8]} is not of 0 to {MAX_AXES} sizes above 0."
        )
    if tensor.size > MAX_ELEMENTS:
        raise InvalidModel(f"Tensor {name}: {tensor.shape} is too large.")
    if tensor.dtype in ("float32", "int32") and tensor.scale != 1:
        raise InvalidModel(f"Tensor {name}: as {tensor.dtype} it has no scale {tensor.scale}.")


def _check_constants(graph: QGraph) -> None:
    for name, data in graph.constants.items():
        tensor = graph.tensors.get(name)
        if tensor is None or name in (graph.input, graph.output):
            raise InvalidModel(f"The constant {name[:80]!r} is no inner tensor of the graph.")
        if tensor.dtype != "int8" or data.dtype != np.int8 or data.shape != tensor.shape:
            raise InvalidModel(
                f"The constant {name} is {data.dtype} {data.shape[:8]}, its tensor "
                f"{tensor.dtype} {tensor.shape}; needed is int8."
            )


def _check_order(graph: QGraph) -> None:
    """Each tensor is written once, before it is read; every tensor is written."""
    written = {graph.input, *graph.constants}
    for op in graph.ops:
        general = FACTS.get(type(op.op))
        if general is None or not general.int8:
            raise InvalidModel(f"{op.name}: {type(op.op).__name__} has no int8 form.")
        least, most = general.inputs
        if not least <= len(op.inputs) <= most:
            count = str(least) if least == most else f"{least} to {most:,}"
            raise InvalidModel(f"{op.name}: it reads {len(op.inputs)} tensors, not {count}.")
        for tensor in op.inputs:
            if tensor not in written:
                raise InvalidModel(f"{op.name}: it reads {tensor[:80]!r} before it is written.")
        if op.name in written or op.name not in graph.tensors:
            raise InvalidModel(f"{op.name[:80]!r} is written twice, or is no tensor of the graph.")
        written.add(op.name)
    if graph.output not in written:
        raise InvalidModel(f"Tensor {graph.output} is written by nobody.")
    unwritten = sorted(set(graph.tensors) - written)
    if unwritten:
        raise InvalidModel(f"Tensor {unwritten[0]} is written by nobody.")


def _check_types(graph: QGraph) -> None:
    """int8 inside; the input may be uint8 or float32 too, the output also int32."""
    if graph.input_tensor.dtype == "int32":
        raise InvalidModel(f"The input {graph.input} is int32.", "int8, uint8 and float32 can be.")
    for name, tensor in graph.tensors.items():
        if tensor.dtype != "int8" and name not in (graph.input, graph.output):
            raise InvalidModel(f"Tensor {name} is {tensor.dtype}; only a border can be.")


def check_layer(layer: Layer[Op]) -> None:
    """Raise InvalidModel, with the layer's name, unless ``layer`` is sound."""
    what, kind = layer.computes(facts, layer.op), type(layer.op).__name__
    if not what.types and any(tensor.dtype != "int8" for tensor in (*layer.inputs, layer.output)):
        layer.refuse(f"{kind} takes and yields int8 only", "Quantize in front.")
    low, high = layer.clamp
    if not INT8_MIN <= low <= high <= INT8_MAX:
        layer.refuse(f"its clamp {layer.clamp} is not within int8")
    if not what.clamps and layer.clamp != (INT8_MIN, INT8_MAX):
        layer.refuse(f"{kind} takes no clamp")
    if what.shares_quantization and not all(
        (tensor.scale, tensor.zero_point) == (layer.output.scale, layer.output.zero_point)
        for tensor in layer.inputs
    ):
        layer.refuse(f"{kind} has to keep scale and zero point")
    expected = output_shape(layer)
    if layer.output.shape != expected:
        layer.refuse(f"it yields shape {expected}, its tensor has {layer.output.shape}")
    check_weights(layer)


def _check_border(graph: QGraph) -> None:
    """What belongs to the graph as a whole: permutation, labels, samples."""
    shape = graph.input_tensor.shape
    order = graph.input_permutation
    if order and sorted(order) != list(range(len(shape))):
        raise InvalidModel(f"The input permutation {order[:8]} does not fit the shape {shape}.")
    _check_labels(graph)
    samples = graph.samples
    dtype = graph.input_tensor.dtype
    if samples is not None and (
        samples.size == 0
        or samples.dtype != DTYPES[dtype]
        or samples.ndim == 0
        or samples.shape[1:] != shape
    ):
        raise InvalidModel(
            f"The samples are {samples.dtype} {samples.shape}, not {dtype} n x {shape}."
        )
    if samples is not None and not np.isfinite(samples).all():
        raise InvalidModel("The samples contain NaN or infinity.")
    for entry in graph.quality:
        known = entry.tensor in graph.tensors
        if not known or math.isnan(entry.sqnr_db) or not 0 <= entry.saturation <= 1:
            raise InvalidModel(f"The quality of {entry.tensor[:80]!r} is out of range.")


def _check_labels(graph: QGraph) -> None:
    """One label an output; for an argmax, one an element that it chooses from."""
    if not graph.labels:
        return
    outputs = graph.output_tensor.size
    last = graph.ops[-1] if graph.ops else None
    if last is not None and last.name == graph.output and isinstance(last.op, ArgMax):
        outputs = graph.tensors[last.inputs[0]].shape[last.op.axis]
    if len(graph.labels) != outputs:
        raise InvalidModel(f"There are {len(graph.labels)} labels for {outputs} outputs.")
