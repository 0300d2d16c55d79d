"""Layers that go through a sequence: what they remember is copied once, then updated in its place
(where it is a state it lies there already, see `nanotool.lower.states`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import Lstm, Struct, Svdf
from nanotool.lower.layer import (
    NOTHING,
    Call,
    Fields,
    TargetLayer,
    factor,
    lowers,
    overlap,
    store,
    whole_copy,
)
from nanotool.ops.shape import lstm_parameters, recurrent_sizes, svdf_multipliers


@lowers(Lstm)
def _lstm(layer: TargetLayer[Lstm]) -> tuple[Call, Call]:
    """A step's outputs need all of its input, the first step's all of h."""
    note = "weights [units][4: i f g o][in_features, units]"
    return kept_copy(layer, 2), lstm_call("nano_lstm", layer, layer.weight, note)


def lstm_call(kernel: str, layer: TargetLayer[Lstm], weights: NDArray[np.int8], note: str) -> Call:
    """The call of a kernel that takes the weights in this layout."""
    steps, features, units = recurrent_sizes(layer)
    needs = np.repeat(np.arange(steps, dtype=np.int64) * features, units)
    first = np.where(np.arange(steps * units) < units, 0, NOTHING)
    known = layer.constants[1] is not None
    fields = (("weights", layer.array("weights", weights, note)), *_lstm_fields(layer))
    return Call(
        kernel,
        Struct("nano_lstm_params", fields),
        (overlap(needs),) if known else (overlap(needs), overlap(first)),
        reads=(0,) if known else (0, 1),
        more=(1,),
        macs=steps * layer.weight.size,
    )


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


def kept_copy(layer: TargetLayer[Any], number: int) -> Call:
    """What is remembered, input ``number``, where it will be updated."""
    size, data = layer.inputs[number].nbytes, layer.constants[number]
    if data is None:
        return Call("nano_copy", whole_copy(size), (0,), (number,), writes=1, macs=0)
    bytes_ = np.frombuffer(data.astype(data.dtype.newbyteorder("<")).tobytes(), np.int8)
    constant = layer.array("constant", bytes_, "what is remembered at first, in bytes", 0)
    return Call("nano_copy", whole_copy(size, constant), (), (), writes=1, macs=0)


def _lstm_fields(layer: TargetLayer[Lstm]) -> Fields:
    """nano_lstm_params without the weights."""
    parameters = lstm_parameters(layer)
    steps, features, units = recurrent_sizes(layer)
    initial = layer.constants[1]
    if layer.constants[0] is not None:
        layer.refuse("its input is a constant", "Compute what follows from it beforehand.")
    pairs = [
        one for pair in zip(parameters.input, parameters.recurrent, strict=True) for one in pair
    ]
    multiplier, shift = (np.array(values) for values in zip(*pairs, strict=True))
    low, high = parameters.cell_limits
    note = "[4: i f g o][of x, of h]"
    return (
        ("initial", initial if initial is None else layer.array("constant", initial, "h at first")),
        ("bias", layer.array("bias", folded(layer), f"bias [units]{note}, zero points folded in")),
        ("multiplier", layer.array("multiplier", multiplier.astype(np.int32), f"Q31 {note}")),
        ("shift", layer.array("shift", shift.astype(np.int8), f"shift {note}, positive: left")),
        ("steps", layer.uint16("the number of steps", steps)),
        ("in_features", features),
        ("units", layer.uint16("the number of units", units)),
        ("cell_shift", parameters.cell_shift),
        ("cell_min", low),
        ("cell_max", high),
        ("write", factor(parameters.write)),
        ("hidden", factor(parameters.hidden)),
        ("store", store(layer)),
    )


def folded(layer: TargetLayer[Lstm]) -> NDArray[np.int32]:
    """Biases of the sums over x and over h [units, gates, 2], with the zero points folded in."""
    features = layer.input.shape[-1]
    sums = [
        part.sum(axis=2, dtype=np.int64) * -tensor.zero_point
        for part, tensor in zip(
            (layer.weight[..., :features], layer.weight[..., features:]), layer.inputs, strict=False
        )
    ]
    return np.stack([sums[0] + layer.bias, sums[1]], axis=2).astype(np.int32)
