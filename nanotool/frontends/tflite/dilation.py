"""Dilated convolutions that a converter took apart: SPACE_TO_BATCH_ND, a convolution with stride 1
and no padding, BATCH_TO_SPACE_ND, perhaps with other names for the same elements in between.

TensorFlow writes them so for any convolution with a dilation of old, and still for one whose batch
is free; what it says of the shapes in between is then wrong, and is not looked at.
"""

from __future__ import annotations

from dataclasses import replace

from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.content import NO_TENSOR, Dilated, Model, Operator

_VIEWS = {"EXPAND_DIMS", "RESHAPE", "SQUEEZE"}
_CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D"}


def fold(model: Model) -> Model:
    """``model`` with each such group as one operator, which stands where the convolution stood."""
    makers = {index: i for i, one in enumerate(model.operators) for index in one.outputs}
    readers: dict[int, list[int]] = {}
    for i, one in enumerate(model.operators):
        for index in {*one.inputs} - {NO_TENSOR}:
            readers.setdefault(index, []).append(i)
    for index in model.results:
        readers.setdefault(index, []).append(-1)
    operators: list[Operator | None] = list(model.operators)
    for i, one in enumerate(model.operators):
        if one.code.name in _CONVOLUTIONS:
            before = _before(model, makers, readers, one)
            behind = _behind(model, readers, one)
            folded = before and behind and _folded(model, one, before[-1], behind[-1])
            if folded:
                for gone in (*before, *behind):
                    operators[model.operators.index(gone)] = None
                operators[i] = folded
    return replace(model, operators=tuple(one for one in operators if one is not None))


def _before(
    model: Model, makers: dict[int, int], readers: dict[int, list[int]], one: Operator
) -> list[Operator]:
    """The operators from a convolution back to SPACE_TO_BATCH_ND; none if it is not there."""
    found: list[Operator] = []
    while one.inputs and len(readers.get(one.inputs[0], ())) == 1 and one.inputs[0] in makers:
        one = model.operators[makers[one.inputs[0]]]
        found.append(one)
        if one.code.name == "SPACE_TO_BATCH_ND":
            return found
        if one.code.name not in _VIEWS:
            break
    return []


def _behind(model: Model, readers: dict[int, list[int]], one: Operator) -> list[Operator]:
    """The operators from a convolution on to BATCH_TO_SPACE_ND; none if it is not there."""
    found: list[Operator] = []
    while len(one.outputs) == 1 and len(readers.get(one.outputs[0], ())) == 1:
        (reader,) = readers[one.outputs[0]]
        if reader < 0 or model.operators[reader].inputs[0] != one.outputs[0]:
            break
        one = model.operators[reader]
        found.append(one)
        if one.code.name == "BATCH_TO_SPACE_ND":
            return found
        if one.code.name not in _VIEWS:
            break
    return []


def _folded(model: Model, one: Operator, apart: Operator, together: Operator) -> Operator | None:
    """The convolution with their dilation; None where they are something else."""
    options = one.options
    if not isinstance(options, (schema.Conv2DOptions, schema.DepthwiseConv2DOptions)):
        return None
    steps = (options.stride_h, options.stride_w, options.dilation_h, options.dilation_w)
    margins = [_numbers(model, operator) for operator in (apart, together)]
    if options.padding != "VALID" or steps != (1, 1, 1, 1) or None in margins:
        return None
    (block, around), (same, cut) = (one for one in margins if one is not None)
    shape = model.tensors[apart.inputs[0]].shape
    if block != same or len(around) != len(cut) or len(shape) != len(block) + 2 or shape[0] != 1:
        return None
    if len(block) == 1:  # a signal is an image of one row
        block, around, cut = (1, *block), (0, 0, *around), (0, 0, *cut)
        shape = (1, 1, *shape[1:])
    top, bottom, left, right = (a - c for a, c in zip(around, cut, strict=True))
    if min(top, bottom, left, right) < 0:
        return None
    dilated = Dilated((block[0], block[1]), (top, left, bottom, right), shape)
    inputs = (apart.inputs[0], *one.inputs[1:])
    return replace(one, inputs=inputs, outputs=together.outputs, dilated=dilated)


def _numbers(model: Model, one: Operator) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The block and the margins of one of the two; None where they are not what they should be."""
    if len(one.inputs) != 3 or NO_TENSOR in one.inputs:
        return None
    block, margins = (model.tensors[index] for index in one.inputs[1:])
    if block.data is None or margins.data is None or block.type != "INT32":
        return None
    sizes = tuple(int(size) for size in block.array().reshape(-1)[:3])
    around = tuple(int(size) for size in margins.array().reshape(-1)[:5])
    if not 1 <= len(sizes) <= 2 or len(around) != 2 * len(sizes) or min((*sizes, *around, 1)) < 0:
        return None
    return (sizes, around) if min(sizes) >= 1 else None
