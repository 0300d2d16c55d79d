"""The graph as a whole: names, order, types, borders."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from nanotool.errors import InvalidModel
from nanotool.ir import (
    DTYPES,
    INT8_MAX,
    INT8_MIN,
    ArgMax,
    Op,
    QGraph,
    QTensor,
    State,
    unclamped,
)
from nanotool.ops import FACTS, Facts, Layer, facts, layer_of
from nanotool.ops.shape import output_shape
from nanotool.sensing.description import CameraSettings
from nanotool.sensing.rule import check_stream
from nanotool.validate.weights import check_weights

MAX_AXES = 4
MAX_ELEMENTS = 2**28  # of one tensor
MAX_NAME = 256  # characters
MAX_ENDS = 256  # inputs, outputs, states
INPUT_TYPES = ("int8", "uint8", "int16", "float32")
CONSTANT_TYPES = ("int8", "int16")
STATE_TYPES = ("int8", "int16")


def validate(graph: QGraph) -> None:
    """Raise InvalidModel, with the name of the tensor or layer, unless ``graph`` is sound."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", graph.name):
        raise InvalidModel(
            f"The model's name {graph.name[:80]!r} is no C identifier.",
            "Letters, digits and underscores, at most 64, no digit first.",
        )
    for key, tensor in graph.tensors.items():
        _check_tensor(key, tensor)
    _check_ends(graph)
    for state in graph.states:
        _check_state(graph, state)
    _check_constants(graph)
    _check_order(graph)
    _check_types(graph)
    for op in graph.ops:
        check_layer(layer_of(graph, op))
    _check_border(graph)
    if graph.stream is not None:
        check_stream(graph)
    if graph.camera is not None:
        _check_camera(graph, graph.camera)


def _check_camera(graph: QGraph, camera: CameraSettings) -> None:
    if graph.stream is not None or len(graph.inputs) != 1:
        raise InvalidModel(
            f"{graph.name} looks, and listens, too, or has {len(graph.inputs)} inputs.",
            "A camera's picture is a model's only input.",
        )
    x, picture = graph.input_tensor, camera.picture
    if x.dtype not in {"int8", "uint8"} or x.size != math.prod(picture):
        raise InvalidModel(
            f"{graph.name} takes {list(x.shape)} {x.dtype}, the camera's picture is "
            f"{list(picture)}.",
            "Choose the camera's out_width, out_height and channels by the model.",
        )


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
    if tensor.dtype == "float32" and tensor.scale != 1:
        raise InvalidModel(f"Tensor {name}: as {tensor.dtype} it has no scale {tensor.scale}.")


def _check_ends(graph: QGraph) -> None:
    """There are inputs and outputs, tensors of the graph; nothing is two inputs, or an input and a
    state."""
    for what, names in (("input", graph.inputs), ("output", graph.outputs)):
        if not 1 <= len(names) <= MAX_ENDS:
            raise InvalidModel(f"The graph has {len(names)} {what}s, not 1 to {MAX_ENDS}.")
        for name in names:
            if name not in graph.tensors:
                raise InvalidModel(f"The graph's {what} {name[:80]!r} is no tensor of it.")
    sources = graph.sources
    for name in sources:
        if sources.count(name) > 1:
            raise InvalidModel(f"Tensor {name[:80]!r} is an input or a state twice.")
    if len(set(graph.outputs)) != len(graph.outputs):
        raise InvalidModel("One of the graph's outputs is listed twice.")
    called = graph.output_names
    if called and (len(called) != len(graph.outputs) or len(set(called)) != len(called)):
        raise InvalidModel(f"{len(graph.outputs)} outputs are not named one by one.")
    for name in called:
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidModel(f"An output is named {name[:80]!r}.")
    states = {state.name for state in graph.states}
    if len(graph.states) > MAX_ENDS or len(states) != len(graph.states):
        count = len(graph.states)
        raise InvalidModel(f"The graph's {count} states are too many, or two share a name.")


def _check_state(graph: QGraph, state: State) -> None:
    """What is read and what takes its place are alike, and so is what comes first."""
    name = state.name
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidModel(f"A state is named {name[:80]!r}.")
    pair = [graph.tensors.get(tensor) for tensor in (state.read, state.next)]
    if pair[0] is None or pair[1] is None:
        raise InvalidModel(f"State {name}: it reads or becomes what is no tensor of the graph.")
    read, following = (replace(tensor, name="") for tensor in pair if tensor is not None)
    if read != following:
        raise InvalidModel(
            f"State {name}: {state.next} ({_kind(following)}) cannot take the place of "
            f"{state.read} ({_kind(read)}).",
            "Both need the same shape, type, scale and zero point.",
        )
    if read.dtype not in STATE_TYPES:
        raise InvalidModel(f"State {name} is {read.dtype}.", "A state is int8 or int16.")
    if state.initial.dtype != DTYPES[read.dtype] or state.initial.shape != read.shape:
        raise InvalidModel(
            f"State {name}: its initial value is {state.initial.dtype} {state.initial.shape[:8]}, "
            f"not {_kind(read)}."
        )


def _kind(tensor: QTensor) -> str:
    return f"{tensor.dtype} {tensor.shape}, {tensor.scale:g}/{tensor.zero_point}"


def _check_constants(graph: QGraph) -> None:
    for name, data in graph.constants.items():
        tensor = graph.tensors.get(name)
        if tensor is None or name in graph.sources or name in graph.results:
            raise InvalidModel(f"The constant {name[:80]!r} is no inner tensor of the graph.")
        known = tensor.dtype in CONSTANT_TYPES
        if not known or data.dtype != DTYPES[tensor.dtype] or data.shape != tensor.shape:
            raise InvalidModel(
                f"The constant {name} is {data.dtype} {data.shape[:8]}, its tensor "
                f"{tensor.dtype} {tensor.shape}; needed is int8 or int16."
            )


def _check_order(graph: QGraph) -> None:
    """Each tensor is written once, before it is read; every tensor is written."""
    written = {*graph.sources, *graph.constants}
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
        for name in op.outputs:
            if name in written or name not in graph.tensors:
                raise InvalidModel(f"{name[:80]!r} is written twice, or is no tensor of the graph.")
            written.add(name)
        if len(op.more) != general.more:
            writes = 1 + len(op.more)
            raise InvalidModel(f"{op.name}: it writes {writes} tensors, not {1 + general.more}.")
    unwritten = sorted(set(graph.tensors) - written)
    if unwritten:
        raise InvalidModel(f"Tensor {unwritten[0]} is written by nobody.")


def _check_types(graph: QGraph) -> None:
    """int8 or int16 inside; an input may be uint8 or float32 too, an output also int32."""
    for name in graph.inputs:
        if graph.tensors[name].dtype not in INPUT_TYPES:
            raise InvalidModel(
                f"The input {name} is {graph.tensors[name].dtype}.",
                "int8, uint8, int16 and float32 can be.",
            )
    borders = {*graph.inputs, *graph.outputs}
    for name, tensor in graph.tensors.items():
        if tensor.dtype not in ("int8", "int16") and name not in borders:
            raise InvalidModel(f"Tensor {name} is {tensor.dtype}; only a border can be.")


def check_layer(layer: Layer[Op]) -> None:
    """Raise InvalidModel, with the layer's name, unless ``layer`` is sound."""
    what, kind = layer.computes(facts, layer.op), type(layer.op).__name__
    if not what.types:
        _check_activations(layer, what, kind)
    low, high = layer.clamp
    least, most = unclamped(layer.output.dtype)
    if not least <= low <= high <= most:
        layer.refuse(f"its clamp {layer.clamp} is not within {layer.output.dtype}")
    if not what.clamps and layer.clamp not in {(least, most), (INT8_MIN, INT8_MAX)}:
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


def _check_activations(layer: Layer[Op], what: Facts, kind: str) -> None:
    """All int8, or all int16 with the zero point 0."""
    constant = [data is not None and what.int8_constants for data in layer.constants]
    inputs = [one for one, fixed in zip(layer.inputs, constant, strict=True) if not fixed]
    types = {tensor.dtype for tensor in (*inputs, layer.output)}
    fixed = [one for one, is_fixed in zip(layer.inputs, constant, strict=True) if is_fixed]
    if any(one.dtype != "int8" for one in fixed):
        layer.refuse(f"{kind} takes int8 constants only")
    if types == {"int8"}:
        return
    if not what.int16 or not types <= {"int8", "int16"}:
        layer.refuse(f"{kind} takes and yields int8 only", "Quantize in front.")
    if types != {"int16"}:
        given = " and ".join(sorted(types))
        layer.refuse(f"its tensors are {given}", "All are int8, or all int16: quantize in front.")
    if any(tensor.zero_point for tensor in (*inputs, layer.output)):
        layer.refuse("in int16 zero points are 0", "Quantize symmetrically.")


def _check_border(graph: QGraph) -> None:
    """What belongs to the graph as a whole: permutations, labels, samples."""
    if graph.input_permutations and len(graph.input_permutations) != len(graph.inputs):
        raise InvalidModel(f"{len(graph.inputs)} inputs are not turned one by one.")
    for tensor, order in zip(graph.input_tensors, graph.permutations, strict=True):
        if order and sorted(order) != list(range(len(tensor.shape))):
            raise InvalidModel(
                f"The input permutation {order[:8]} does not fit the shape {tensor.shape}."
            )
    _check_labels(graph)
    _check_samples(graph)
    for entry in graph.quality:
        known = entry.tensor in graph.tensors
        if not known or math.isnan(entry.sqnr_db) or not 0 <= entry.saturation <= 1:
            raise InvalidModel(f"The quality of {entry.tensor[:80]!r} is out of range.")
    for trial in graph.trials:
        share = 0.0 if trial.accuracy is None else trial.accuracy
        macs = 0.0 if trial.int16 is None else trial.int16.macs
        if math.isnan(trial.sqnr_db) or not (0 <= share <= 1 and 0 <= macs <= 1):
            raise InvalidModel(f"The trial {trial.name[:80]!r} is out of range.")


def _check_samples(graph: QGraph) -> None:
    """One array an input, of as many samples each; or none."""
    if not graph.samples:
        return
    if len(graph.samples) != len(graph.inputs):
        raise InvalidModel(f"There are samples for {len(graph.samples)} inputs.")
    for tensor, samples in zip(graph.input_tensors, graph.samples, strict=True):
        if (
            samples.size == 0
            or samples.dtype != DTYPES[tensor.dtype]
            or samples.ndim == 0
            or samples.shape[1:] != tensor.shape
            or len(samples) != len(graph.samples[0])
        ):
            raise InvalidModel(
                f"The samples are {samples.dtype} {samples.shape}, not {tensor.dtype} n x "
                f"{tensor.shape}."
            )
        if not np.isfinite(samples).all():
            raise InvalidModel("The samples contain NaN or infinity.")


def _check_labels(graph: QGraph) -> None:
    """One label an element of the first output; of an argmax, one an element that it searches."""
    if not graph.labels:
        return
    for label in graph.labels:
        if not label.isprintable():  # a terminal would obey it
            raise InvalidModel(
                f"The label {label[:80]!a} has control characters.", "Name it plainly."
            )
    outputs = graph.output_tensors[0].size
    last = next((op for op in graph.ops if op.name == graph.outputs[0]), None)
    if last is not None and isinstance(last.op, ArgMax):
        outputs = graph.tensors[last.inputs[0]].shape[last.op.axis]
    if len(graph.labels) != outputs:
        raise InvalidModel(
            f"There are {len(graph.labels)} labels for {outputs} outputs.",
            "Give one name for each output, in the model's order, or none.",
        )
