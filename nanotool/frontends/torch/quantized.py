"""What others quantized: steps of quantization and back in a program (PT2E, torchao, fake_quantize)
become the scales and zero points of the tensors that they are of. In floats they are nothing.

A weight's are computed away with the other constants: its scale is found again in its values.
"""

from __future__ import annotations

import torch
from torch import fx

from nanotool.frontends.torch.fx_nodes import Arguments
from nanotool.frontends.torch.walk import Walk, handles
from nanotool.ir import INT8_MAX, INT8_MIN, Unary

BITS = 8


@handles("quantize_per_tensor", makes=Unary)
def _quantize(walk: Walk, args: Arguments, node: fx.Node) -> str:
    return _marked(walk, args, node)


@handles("dequantize_per_tensor", makes=())
def _dequantize(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    return walk.source(args["input"])


@handles("fake_quantize_per_tensor_affine", makes=Unary)
def _fake_quantize(walk: Walk, args: Arguments, node: fx.Node) -> str:
    return _marked(walk, {**args, "input": args["self"]}, node)


def _marked(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """The input; its scale and zero point, in int8, are kept."""
    source = walk.source(args["input"])
    scale = walk.number(args["scale"], "scale")
    zero_point = round(walk.number(args["zero_point"], "zero point"))
    low = args["quant_min"]
    kind = args.get("dtype")
    if low is None:
        low = torch.iinfo(kind).min if kind is not None else INT8_MIN
    high = args["quant_max"]
    if high is not None and high - low >= 2**BITS:
        walk.refuse(
            f"an activation in {(high - low + 1).bit_length() - 1} bits",
            "Quantize activations to 8 bits.",
        )
    # Unsigned steps are 128 more; narrower ranges (0..127) keep their numbers.
    zero_point += INT8_MIN if low == 0 and (high is None or high > INT8_MAX) else 0
    if not (INT8_MIN <= zero_point <= INT8_MAX and 0 < scale < float("inf")):
        walk.refuse(f"the scale {scale:g} with zero point {zero_point}", "Calibrate it anew.")
    known = walk.scales.setdefault(source, (scale, zero_point))
    if known == (scale, zero_point):
        return source
    again = walk.emit(Unary("identity"), (source,), walk.shapes[source])
    walk.scales[again] = (scale, zero_point)
    return again
