"""PyTorch in: a module becomes a float `Graph`, through `torch.export` without decompositions.

The exported program is walked node by node. Every ATen operator that has a place in the IR has
one handler here; anything else is refused with the path of the module that called it, its
shapes, and what to use instead. The batch axis is exported as a free dimension and
then left out: a node that mixes samples of a batch is refused.

    effects    what a forward does besides its result     snapshot  what it can reach
    export     torch.export, with a free batch            walk      the walk over its program
    saved      .pt2 files, without running code in them
    hints      what to do about operators without one     fx_nodes  what an fx node says
    linear, pooling, elementwise, arithmetic, move, sample, axis   handlers, a family each

Layers over N x C x L (Conv1d and the like) become those over images of height 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType

import numpy as np
import torch
from torch import nn

from nanotool.errors import NanoError
from nanotool.frontends.torch import (  # noqa: F401  (they register their handlers)
    arithmetic,
    axis,
    elementwise,
    linear,
    move,
    pooling,
    sample,
)
from nanotool.frontends.torch.effects import apart, effects_of, refuse, watch
from nanotool.frontends.torch.export import as_the_weights, export
from nanotool.frontends.torch.saved import load_program
from nanotool.frontends.torch.walk import HANDLERS, Walk
from nanotool.ir import Graph
from nanotool.quantization.evaluate import evaluate

__all__ = ["capture", "capture_program", "check_model", "load_program"]

HANDLERS.complete()

SAMPLES = 2  # of the example that the forward is run on
TOLERANCE = 1e-3  # of the largest output, between the module and its graph


def capture(model: nn.Module, example: torch.Tensor, name: str = "model") -> Graph:
    """The float graph of ``model`` as it behaves in eval mode, C, H, W like PyTorch.

    ``example`` is one batch, N x input shape, float: the forward is run on its first samples, and
    the graph has to compute the same. Nothing of the model changes, nor of what its code reaches;
    the graph has copies. ``name`` becomes the graph's name.

    Raises UnsupportedOp for what has no int8 form here, and for a forward that writes or draws
    numbers; NanoError if it fails, or if torch.export gives up (data-dependent control flow, a
    fixed batch size).
    """
    check_model(model)
    if example.ndim < 2 or not example.is_floating_point():
        raise NanoError(
            f"The example has shape {tuple(example.shape)} and type {example.dtype}.",
            "Pass one float batch, N x input shape: torch.zeros(1, 1, 28, 28).",
        )
    kind = type(model).__name__
    with apart(model) as copied:
        batch = as_the_weights(copied, example[:SAMPLES].detach())
        watched = watch(copied, batch)
        if watched.effects:
            refuse(kind, watched.effects)
        program = export(copied, batch)
        graph = capture_program(program, name)
    _check(graph, kind, batch, watched.outputs)
    return graph


def check_model(model: object, called: str = "The model") -> None:
    """NanoError for what people give for a module, which the message calls ``called``."""
    what, hint = "", ""
    if isinstance(model, torch.jit.ScriptModule):
        what, hint = "a ScriptModule", "Give the nn.Module that it was made from."
    elif isinstance(model, type):
        what, hint = f"the class {model.__name__}", f"Give an object of it: {model.__name__}()."
    elif isinstance(model, Mapping):
        inner = next((key for key, value in model.items() if isinstance(value, Mapping)), None)
        what = "a state_dict" if inner is None else "a checkpoint"
        it = "it" if inner is None else f"its {inner!r}"
        hint = f"Make the nn.Module, call its load_state_dict with {it}, and give the module."
    elif isinstance(model, FunctionType):
        what, hint = "a function", "Give the nn.Module that it makes or calls."
    elif not isinstance(model, nn.Module):
        what, hint = f"of type {type(model).__name__}", "Give an nn.Module."
    elif any(parameter.is_meta for parameter in model.parameters()):
        what, hint = "on the device meta, without values", "Load its weights first."
        raise NanoError(f"{called} is {what}.", hint)
    if what:
        raise NanoError(f"{called} is {what}, no nn.Module to capture.", hint)


def capture_program(program: torch.export.ExportedProgram, name: str = "model") -> Graph:
    """The float graph of an already exported ``program``, as a saved .pt2 file holds it: traced in
    eval mode, one input with the batch first, of free or fixed size. Raises as `capture` does."""
    effects = effects_of(program)
    if effects:
        refuse(name, effects)
    return Walk(program, name).graph()


def _check(graph: Graph, kind: str, batch: torch.Tensor, outputs: tuple[torch.Tensor, ...]) -> None:
    """NanoError where ``graph`` does not compute ``outputs``, the model's, of ``batch``."""
    if len(outputs) != 1 or not outputs[0].is_floating_point():
        return
    expected = outputs[0].to("cpu", torch.float64).numpy()
    with np.errstate(all="ignore"):
        tensors = evaluate(graph, batch.to("cpu", torch.float32).numpy())
        found = tensors[graph.output]
        if found.shape == expected.shape:
            size = max(float(np.nan_to_num(np.abs(values)).max()) for values in tensors.values())
            limit = TOLERANCE * float(np.nan_to_num(np.abs(expected)).max()) + 1e-5 * size
            if np.allclose(found, expected, rtol=0, atol=limit, equal_nan=True):
                return
    raise NanoError(
        f"{kind} computes something else than its trace by torch.export does.",
        "Something in its forward depends on the size of the batch, on the values, or on what lies "
        "outside the module: compute from the input alone.",
    )
