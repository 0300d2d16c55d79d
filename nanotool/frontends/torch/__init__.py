"""PyTorch in: a module becomes a float `Graph`, through `torch.export`.

The exported program is walked node by node. Every ATen operator that has a place in the IR has
one handler here; what has none is taken as PyTorch decomposes it, or refused with the path of the
module that called it, its shapes, and what to use instead. The batch axis is exported as a free
dimension and then left out: a node that mixes samples of a batch is refused.

    decompose  operators without a handler
    effects    what a forward does besides its result     snapshot  what it can reach
    ends       what it takes and gives, by name           memory    the states that are asked for
    export     torch.export, with a free batch            walk      the walk over its program
    whole      tensors without an axis for the batch, in a step of one sample
    saved      .pt2 files, without running code in them
    hints      what to do about operators without one     fx_nodes  what an fx node says
    linear, pooling, elementwise, functions, choices, arithmetic, move, sample, axis, recurrent,
    quantized:
                handlers, a family each

Layers over N x C x L (Conv1d and the like) become those over images of height 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from nanotool.errors import NanoError
from nanotool.frontends.torch import (  # noqa: F401  (they register their handlers)
    arithmetic,
    axis,
    choices,
    custom,
    elementwise,
    functions,
    linear,
    move,
    norms,
    pooling,
    products,
    quantized,
    recurrent,
    sample,
)
from nanotool.frontends.torch.attention import batch_first
from nanotool.frontends.torch.decompose import walked
from nanotool.frontends.torch.effects import Effect, apart, effects_of, refuse, watch
from nanotool.frontends.torch.ends import (
    arguments,
    call_of,
    is_tensor,
    leaves,
    next_states,
    parameters_of,
    results,
)
from nanotool.frontends.torch.export import as_the_weights, export
from nanotool.frontends.torch.memory import Memory, States, memory_of, program_memory
from nanotool.frontends.torch.saved import load_program
from nanotool.frontends.torch.walk import HANDLERS
from nanotool.ir import Graph
from nanotool.quantization.evaluate import evaluate

__all__ = ["capture", "capture_program", "check_model", "load_program"]

HANDLERS.complete()

SAMPLES = 2  # of the example that the forward is run on
STEPS = 4  # of a model with states
TOLERANCE = 1e-3  # of the largest output, between the module and its graph


def capture(model: nn.Module, example: Any, name: str = "model", *, states: States = None) -> Graph:
    """The float graph of ``model`` as it behaves in eval mode, C, H, W like PyTorch.

    ``example`` is one batch, N x input shape, float; of several inputs a tuple or a dictionary by
    the names of the forward's parameters: the forward is run on its first samples, and the graph
    has to compute the same. Nothing of the model changes, nor of what its code reaches; the graph
    has copies. ``name`` becomes the graph's name. ``states``: arguments with their initial value
    for one sample, and buffers; the forward is then run on one sample a step.

    Raises UnsupportedOp for what has no int8 form here, and for a forward that writes or draws
    numbers; NanoError if it fails, or if torch.export gives up (data-dependent control flow, a
    fixed batch size).
    """
    check_model(model)
    kind = type(model).__name__
    with apart(model) as copied:
        memory = memory_of(copied, states)
        parameters = parameters_of(copied).without(memory.arguments)
        batch = as_the_weights(copied, arguments(parameters, example))
        _check_example(batch)
        steps = [_rows(batch, slice(0, SAMPLES))]
        if memory:
            steps = [_rows(batch, slice(i, i + 1)) for i in range(min(STEPS, _count(batch)))]
        first = {**steps[0], **as_the_weights(copied, dict(memory.arguments))}
        watched = watch(copied, first)
        effects = tuple(e for e in watched.effects if not _is_state(e, memory))
        if effects:
            refuse(kind, effects)
        batch_first(copied)
        program = export(copied, first, memory)
        graph = walked(program, name, memory, shown=bool(memory.buffers))
        outputs = _rehearsed(copied, steps, memory) if memory else [watched.outputs]
    _check(graph, kind, steps, outputs)
    return graph


def _is_state(effect: Effect, memory: Memory) -> bool:
    return effect.kind == "buffer" and effect.name in memory.buffers


def _count(given: Mapping[str, Any]) -> int:
    return min(len(leaf) for leaf in leaves(given).values() if is_tensor(leaf))


def _rows(given: Mapping[str, Any], rows: slice) -> dict[str, Any]:
    """Some samples of a batch."""
    cut: dict[str, Any] = tree_map(
        lambda leaf: leaf[rows].detach() if is_tensor(leaf) else leaf, dict(given)
    )
    return cut


def _check_example(given: Mapping[str, Any]) -> None:
    """NanoError for what is no batch of floats."""
    tensors = {name: leaf for name, leaf in leaves(given).items() if is_tensor(leaf)}
    least = 2 if len(tensors) == 1 else 1
    for name, tensor in tensors.items():
        if tensor.ndim < least or not tensor.is_floating_point() or not len(tensor):
            which = f" of {name}" if len(tensors) > 1 else ""
            raise NanoError(
                f"The example{which} has shape {tuple(tensor.shape)} and type {tensor.dtype}.",
                "Pass one float batch, N x input shape: torch.zeros(1, 1, 28, 28). Numbers of an "
                "embedding's rows are floats, too: self.embedding(x.long()).",
            )
    if not tensors:
        raise NanoError("The example holds no tensor.", "Pass one batch of what the model takes.")
    counts = {name: len(tensor) for name, tensor in tensors.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise NanoError(f"The inputs have batches of different sizes ({told}).", "Give as many.")


def _rehearsed(
    model: nn.Module, steps: Sequence[Mapping[str, Any]], memory: Memory
) -> list[tuple[torch.Tensor, ...]]:
    """What ``model``, which may be written to, gives for consecutive steps, states left out."""
    states = as_the_weights(model, dict(memory.arguments))
    found: list[tuple[torch.Tensor, ...]] = []
    for step in steps:
        call = call_of(model, {**step, **states})
        given = [(n, leaf) for n, leaf in results(model(*call.args, **call.kwargs))]
        given = [(n, leaf) for n, leaf in given if leaf is not None]
        places = next_states(given, list(memory.parts)) if memory.arguments else []
        kept = [leaf for i, (_, leaf) in enumerate(given) if i not in places]
        found.append(tuple(leaf.detach().clone() for leaf in kept if is_tensor(leaf)))
        flat, spec = tree_flatten(states)
        states = tree_unflatten([given[i][1] for i in places], spec) if flat else states
    return found


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


def capture_program(
    program: torch.export.ExportedProgram, name: str = "model", *, states: States = None
) -> Graph:
    """The float graph of an already exported ``program``, as a saved .pt2 file holds it: traced in
    eval mode, the batch first, of free or fixed size, or one sample if it has ``states`` that are
    buffers. Raises as `capture` does."""
    memory = program_memory(program, states)
    effects = tuple(e for e in effects_of(program) if not _is_state(e, memory))
    if effects:
        refuse(name, effects)
    return walked(program, name, memory)


def _check(
    graph: Graph,
    kind: str,
    steps: Sequence[Mapping[str, Any]],
    outputs: Sequence[tuple[torch.Tensor, ...]],
) -> None:
    """NanoError where ``graph`` does not compute ``outputs``, the model's, step by step. Those of a
    model that was quantized before are rounded: they are not compared."""
    if graph.scales:
        return
    states = None
    for step, wanted in zip(steps, outputs, strict=True):
        inputs = [leaf for leaf in leaves(step).values() if is_tensor(leaf)]
        with np.errstate(all="ignore"):
            arrays = tuple(x.to("cpu", torch.float32).numpy() for x in inputs)
            tensors = evaluate(graph, arrays, states)
        states = {state.name: tensors[state.next] for state in graph.states}
        size = max(float(np.nan_to_num(np.abs(values)).max()) for values in tensors.values())
        for output, expected in zip(graph.outputs, wanted, strict=True):
            if not _alike(tensors[output], expected, size):
                raise NanoError(
                    f"{kind} computes something else than its trace by torch.export does.",
                    "Something in its forward depends on the size of the batch, on the values, or "
                    "on what lies outside the module: compute from the input alone.",
                )


def _alike(found: NDArray[Any], expected: torch.Tensor, size: float) -> bool:
    """Whether two outputs are the same, but for roundings of numbers of ``size``."""
    if not expected.is_floating_point():
        return True
    wanted = expected.to("cpu", torch.float64).numpy()
    if found.shape != wanted.shape and found.size == wanted.size:
        wanted = wanted.reshape(found.shape) if wanted.shape == found.shape[1:] else wanted
    limit = TOLERANCE * float(np.nan_to_num(np.abs(wanted)).max(initial=0.0)) + 1e-5 * size
    return found.shape == wanted.shape and bool(
        np.allclose(found, wanted, rtol=0, atol=limit, equal_nan=True)
    )
