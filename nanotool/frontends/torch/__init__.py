"""PyTorch in: a module becomes a float `Graph`, through `torch.export` without decompositions.

The exported program is walked node by node. Every ATen operator that has a place in the IR has
one handler here; anything else is refused with the path of the module that called it, its
shapes, and what to use instead. The batch axis is exported as a free dimension and
then left out: a node that mixes samples of a batch is refused.

    export     torch.export, with a free batch            walk      the walk over its program
    registry   handlers by ATen operator, hints           fx_nodes  what an fx node says
    linear, pooling, elementwise, arithmetic, move, sample, rows   handlers, a family each

Layers over N x C x L (Conv1d and the like) become those over images of height 1.
"""

from __future__ import annotations

import torch
from torch import nn

from nanotool.errors import NanoError
from nanotool.frontends.torch import (  # noqa: F401  (they register their handlers)
    arithmetic,
    elementwise,
    linear,
    move,
    pooling,
    rows,
    sample,
)
from nanotool.frontends.torch.export import export
from nanotool.frontends.torch.walk import Walk
from nanotool.ir import Graph

__all__ = ["capture", "capture_program"]


def capture(model: nn.Module, example: torch.Tensor, name: str = "model") -> Graph:
    """The float graph of ``model`` as it behaves in eval mode, C, H, W like PyTorch.

    ``example`` is one batch, N x input shape, float; its values do not matter. The model keeps its
    mode and its weights; the graph has copies. ``name`` becomes the graph's name.

    Raises UnsupportedOp for what has no int8 form here, NanoError if torch.export gives up
    (data-dependent control flow, a fixed batch size).
    """
    if example.ndim < 2 or not example.is_floating_point():
        raise NanoError(
            f"The example has shape {tuple(example.shape)} and type {example.dtype}.",
            "Pass one float batch, N x input shape: torch.zeros(1, 1, 28, 28).",
        )
    program = export(model, example)
    return Walk(program, name).graph()


def capture_program(program: torch.export.ExportedProgram, name: str = "model") -> Graph:
    """The float graph of an already exported ``program``, as a saved .pt2 file holds it: traced in
    eval mode, one input with the batch first, of free or fixed size. Raises as `capture` does."""
    return Walk(program, name).graph()
