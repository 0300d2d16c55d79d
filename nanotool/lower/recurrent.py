"""Layers that go through a sequence: what they remember is copied once, then updated in its place
(where it is a state it lies there already, see `nanotool.lower.states`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import Array, Gru, Lstm, Rnn, Struct, Svdf
from nanotool.lower.layer import (
    Call,
    Fields,
    TargetLayer,
    factor,
    lowers,
    overlap,
    store,
    whole_copy,
)
from nanotool.numerics import GateParameters
from nanotool.ops.shape import (
    gate_biases,
    gru_parameters,
    lstm_parameters,
    recurrent_sizes,
    rnn_parameters,
    svdf_multipliers,
)

# (what a layer's gates are made with, the fields of its struct behind those of the gates)
Parts = tuple[GateParameters, Fields]


def lstm_parts(layer: TargetLayer[Lstm]) -> Parts:
    """nano_lstm_params."""
    parameters = lstm_parameters(layer)
    low, high = parameters.cell_limits
    return parameters, (
        ("cell_shift", parameters.cell_shift),
        ("cell_min", low),
        ("cell_max", high),
        ("write", factor(parameters.write)),
    )


def gru_parts(layer: TargetLayer[Gru]) -> Parts:
    """nano_gru_params."""
    parameters = gru_parameters(layer)
    return parameters, (("shift", parameters.shift),)


def rnn_parts(layer: TargetLayer[Rnn]) -> Parts:
    """nano_rnn_params."""
    return rnn_parameters(layer), (("relu", int(layer.op.function == "relu")),)


PARTS: dict[type[Any], Callable[[TargetLayer[Any]], Parts]] = {
    Lstm: lstm_parts,
    Gru: gru_parts,
    Rnn: rnn_parts,
}


@lowers(Lstm, Gru, Rnn)
def _gated(layer: TargetLayer[Any]) -> tuple[Call, ...]:
    _, _, units = recurrent_sizes(layer)
    note = f"weights [units][{layer.weight.shape[1]} gates][in_features, units]"
    weights = layer.array("weights", layer.weight, note)
    return (*first_copies(layer), gated_call(layer, "", weights, units))


def gated_call(layer: TargetLayer[Any], ending: str, weights: Array, scratch: int) -> Call:
    """The call of the layer's kernel, or of that with this ``ending``, for ``weights`` in its
    layout. Of an output of one row among several steps it is h after the last one alone."""
    name = f"nano_{type(layer.op).__name__.lower()}"
    steps, features, units = recurrent_sizes(layer)
    parameters, rest = PARTS[type(layer.op)](layer)
    if layer.constants[0] is not None:
        layer.refuse("its input is a constant", "Compute what follows from it beforehand.")
    gates = Struct("nano_gates", (("weights", weights), *_gates(layer, parameters)))
    in_order = begins_with_zeros(layer) and not layer.op.reverse
    needs = np.repeat(np.arange(steps, dtype=np.int64) * features, units)
    free = in_order and layer.output.shape[0] == steps
    return Call(
        name + ending,
        Struct(f"{name}_params", (("gates", gates), *rest)),
        (overlap(needs) if free else None,),
        scratch=scratch,
        more=(1,) * len(layer.more),
        macs=steps * layer.weight.size,
    )


def begins_with_zeros(layer: TargetLayer[Any]) -> bool:
    """Whether all that is remembered before the first step is real 0."""
    pairs = zip(layer.inputs[1:], layer.constants[1:], strict=True)
    return all(data is not None and (data == tensor.zero_point).all() for tensor, data in pairs)


def first_copies(layer: TargetLayer[Any]) -> tuple[Call, ...]:
    """What is remembered before the first step, where the kernel looks for it: what is updated
    beside the output in its place, h in the row of the output that is written last."""
    if begins_with_zeros(layer):
        return ()
    calls = []
    if layer.more:
        calls.append(kept_copy(layer, len(layer.inputs) - 1))
    if len(layer.inputs) > len(layer.more) + 1:
        units = layer.output.shape[-1]
        row = 0 if layer.op.reverse else layer.output.shape[0] - 1
        calls.append(kept_copy(layer, 1, writes=0, offset=row * units, call=len(calls)))
    return tuple(calls)


def _gates(layer: TargetLayer[Any], parameters: GateParameters) -> Fields:
    """nano_gates without the weights."""
    steps, features, units = recurrent_sizes(layer)
    pairs = [
        one for pair in zip(parameters.input, parameters.recurrent, strict=True) for one in pair
    ]
    multiplier, shift = (np.array(values) for values in zip(*pairs, strict=True))
    note = "[gates][of x, of h]"
    return (
        ("bias", layer.array("bias", folded(layer), f"bias [units]{note}, zero points folded in")),
        ("multiplier", layer.array("multiplier", multiplier.astype(np.int32), f"Q31 {note}")),
        ("shift", layer.array("shift", shift.astype(np.int8), f"shift {note}, positive: left")),
        ("in_features", features),
        ("steps", layer.uint16("the number of steps", steps)),
        ("units", layer.uint16("the number of units", units)),
        ("rows", layer.output.shape[0]),
        ("reverse", int(layer.op.reverse)),
        ("zeros", int(begins_with_zeros(layer))),
        ("hidden", factor(parameters.hidden)),
        ("store", store(layer)),
    )


def folded(layer: TargetLayer[Any]) -> NDArray[np.int32]:
    """Biases of the sums over x and over h [units, gates, 2], with the zero points folded in."""
    features = layer.input.shape[-1]
    sums = [
        part.sum(axis=2, dtype=np.int64) * -tensor.zero_point
        for part, tensor in (
            (layer.weight[..., :features], layer.input),
            (layer.weight[..., features:], layer.output),
        )
    ]
    total: NDArray[np.int64] = gate_biases(layer) + np.stack(sums, axis=2)
    return total.astype(np.int32)


@lowers(Svdf)
def _svdf(layer: TargetLayer[Svdf]) -> tuple[Call, Call]:
    """The memory is updated filter by filter, beside the outputs."""
    source, memory, _ = layer.inputs
    time = layer.constants[2]
    assert time is not None
    units = layer.output.size
    offset = -source.zero_point * layer.weight.sum(axis=1, dtype=np.int64)
    folded = memory.zero_point * time.reshape(units, -1).sum(axis=1, dtype=np.int64)
    bias = numerics.wrap_int32(layer.bias - folded)
    weights_over_time = layer.array("time", time, "weights over time [filters][steps]")
    feature, out = svdf_multipliers(layer)
    if layer.constants[0] is not None:
        layer.refuse("its input is a constant", "Compute what follows from it beforehand.")
    fields: Fields = (
        ("weights", layer.array("weights", layer.weight, "weights [filters][in_features]")),
        ("offset", layer.array("offset", offset.astype(np.int32), "of the input's zero point")),
        ("time", weights_over_time if memory.dtype == "int8" else None),
        ("time_int16", weights_over_time if memory.dtype == "int16" else None),
        ("bias", layer.array("bias", bias.astype(np.int32), "bias, zero point folded in")),
        ("feature", factor(feature)),
        ("factor", factor(out)),
        ("in_features", source.size),
        ("units", layer.uint16("the number of units", units)),
        ("rank", layer.uint16("the rank", layer.op.rank)),
        ("steps", layer.uint16("the number of steps", time.shape[1])),
        ("zero_point", memory.zero_point),
        ("store", store(layer)),
    )
    call = Call(
        "nano_svdf",
        Struct("nano_svdf_params", fields),
        (overlap(np.zeros(units, np.int64)),),
        more=(1,),
    )
    return kept_copy(layer, 1), call


def kept_copy(
    layer: TargetLayer[Any], number: int, *, writes: int = 1, offset: int = 0, call: int = 0
) -> Call:
    """What is remembered, input ``number``, where it will be updated: ``offset`` bytes behind the
    beginning of output ``writes``. It is call ``call`` of the layer."""
    size, data = layer.inputs[number].nbytes, layer.constants[number]
    if data is None:
        # A rising copy: what is written must not lie behind what is still to be read.
        copy = _copy_to(size, offset)
        return Call("nano_copy", copy, (offset,), (number,), writes=writes, macs=0)
    bytes_ = np.frombuffer(data.astype(data.dtype.newbyteorder("<")).tobytes(), np.int8)
    constant = layer.array("constant", bytes_, "what is remembered at first, in bytes", call)
    return Call("nano_copy", _copy_to(size, offset, constant), (), (), writes=writes, macs=0)


def _copy_to(size: int, offset: int, constant: Array | None = None) -> Struct:
    params = whole_copy(size, constant)
    fields = tuple((k, offset if k == "out_offset" else value) for k, value in params.fields)
    return Struct(params.ctype, fields)
