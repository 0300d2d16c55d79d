"""Up- and down-sampling: F.interpolate, nn.Upsample, nn.PixelShuffle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import fx

from nanotool import numerics
from nanotool.frontends.torch.fx_nodes import Arguments, operator_name
from nanotool.frontends.torch.walk import Walk, handles
from nanotool.ir import Resize, Transpose


def _factors(args: Arguments, axes: int) -> list[float | None]:
    """The scale factors that the user gave, one an axis; None where a size was given."""
    factors: Any = args.get("scale_factors")
    if factors is None:
        names = ("scales",) if axes == 1 else ("scales_h", "scales_w")
        factors = [args.get(name) for name in names]
    return [None if factor is None else float(factor) for factor in factors]


def _refuse_factor(walk: Walk, factor: float, size: int, output: int) -> None:
    walk.refuse(
        f"interpolation by {factor:g} from {size} to {output} elements, whose positions are not "
        "those of the sizes,",
        f"Give size={output} (or recompute_scale_factor=True) instead of scale_factor.",
    )


@handles("upsample_nearest1d", "upsample_nearest2d", makes=Resize)
def _nearest(walk: Walk, args: Arguments, node: fx.Node) -> str:
    return _resize(walk, args, node, Resize("nearest"))


@handles("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", makes=Resize)
def _nearest_exact(walk: Walk, args: Arguments, node: fx.Node) -> str:
    return _resize(walk, args, node, Resize("nearest", half_pixel_centers=True))


@handles("upsample_linear1d", "upsample_bilinear2d", makes=Resize)
def _bilinear(walk: Walk, args: Arguments, node: fx.Node) -> str:
    corners = bool(args["align_corners"])
    op = Resize("bilinear", align_corners=corners, half_pixel_centers=not corners)
    return _resize(walk, args, node, op)


def _resize(walk: Walk, args: Arguments, node: fx.Node, op: Resize) -> str:
    source = walk.source(args["input" if "input" in args else "self"])
    shape = walk.batchless(node)
    axes = len(shape) - 1
    image = walk.image(source, operator_name(node))
    channels, *before = walk.shapes[image]
    after = (1, shape[1]) if axes == 1 else shape[1:]
    for factor, size, output in zip(
        _factors(args, axes), before[-axes:], after[-axes:], strict=True
    ):
        if factor is not None and not _same_positions(op, factor, size, output):
            _refuse_factor(walk, factor, size, output)
    return walk.from_image(walk.emit(op, (image,), (channels, *after)), len(shape))


def _same_positions(op: Resize, factor: float, size: int, output: int) -> bool:
    """Whether PyTorch, which takes 1 / factor for the step, and the sizes, whose quotient it is
    here, lead to the same pixels."""
    if op.method == "bilinear":
        return op.align_corners or math.isclose(1 / factor, size / output, rel_tol=1e-6)
    offset = 0.5 if op.half_pixel_centers else 0.0
    positions = (np.arange(output, dtype=np.float32) + np.float32(offset)) * np.float32(1 / factor)
    theirs = np.minimum(np.floor(positions), size - 1)
    return np.array_equal(
        theirs, numerics.nearest_positions(size, output, False, op.half_pixel_centers)
    )


@handles("pixel_shuffle", makes=Transpose)
def _pixel_shuffle(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """C·r·r, H, W to C, H·r, W·r."""
    source, factor = walk.source(args["self"]), int(args["upscale_factor"])
    channels, height, width = _image(walk, source, "pixel_shuffle")
    parts = (channels // factor**2, factor, factor, height, width)
    split = walk.reshaped(source, parts, suffix="split")
    turned = walk.transposed(split, (0, 3, 1, 4, 2), suffix="turned")
    return walk.reshaped(turned, walk.batchless(node))


@handles("pixel_unshuffle", makes=Transpose)
def _pixel_unshuffle(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """C, H·r, W·r to C·r·r, H, W."""
    source, factor = walk.source(args["self"]), int(args["downscale_factor"])
    channels, height, width = _image(walk, source, "pixel_unshuffle")
    parts = (channels, height // factor, factor, width // factor, factor)
    split = walk.reshaped(source, parts, suffix="split")
    turned = walk.transposed(split, (0, 2, 4, 1, 3), suffix="turned")
    return walk.reshaped(turned, walk.batchless(node))


@handles("channel_shuffle", "native_channel_shuffle", makes=Transpose)
def _channel_shuffle(walk: Walk, args: Arguments, node: fx.Node) -> str:
    source, groups = walk.source(args["self"]), int(args["groups"])
    channels, *rest = walk.shapes[source]
    split = walk.reshaped(source, (groups, channels // groups, *rest), suffix="split")
    order = (1, 0, *range(2, 2 + len(rest)))
    turned = walk.transposed(split, order, suffix="turned")
    return walk.reshaped(turned, walk.batchless(node))


def _image(walk: Walk, source: str, what: str) -> tuple[int, int, int]:
    shape = walk.shapes[source]
    if len(shape) != 3:
        walk.refuse(f"{what} on shape {shape}", "Give it N x C x H x W.")
    return shape[0], shape[1], shape[2]
