"""Steps of one sample: tensors of a shape without a leading 1 have no axis for the batch.

A tensor of shape (1, ...) is taken as one sample, and its 1 left out, as everywhere. A ring of past
frames, (frames, features), is taken whole. An operator that reads or gives such a tensor, or works
on the first axis, sees all its tensors whole, as if another axis for the batch stood in front:
axes are counted from there. What it gives with a leading 1 is one sample again. None of that costs
anything: the elements lie in one order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import fx

from nanotool.frontends.torch.fx_nodes import Arguments, named_arguments, operator_name

# Arguments that count axes.
AXES = frozenset(
    {"axis0", "axis1", "destination", "dim", "dim0", "dim1", "dims", "end_dim", "source"}
    | {"start_dim"}
)
ADDS_AXIS = frozenset({"stack", "unsqueeze"})


def reaches_over(node: fx.Node, activations: Iterable[fx.Node]) -> bool:
    """Whether ``node`` has to see its tensors whole."""
    tensors = [source.meta["val"] for source in activations]
    value = node.meta["val"]
    given = value if isinstance(value, (tuple, list)) else [value]
    every = [t for t in (*tensors, *given) if isinstance(t, torch.Tensor)]
    if any(t.ndim == 0 or t.shape[0] != 1 for t in every):
        return True
    if not tensors or len({t.ndim for t in tensors if isinstance(t, torch.Tensor)}) > 1:
        return True
    rank = tensors[0].ndim + (operator_name(node) in ADDS_AXIS)
    return any(_moves_first(name, given, rank) for name, given in named_arguments(node).items())


def _moves_first(name: str, given: Any, rank: int) -> bool:
    if name not in AXES or given is None:
        return False
    numbers = [given] if isinstance(given, int) else given
    if not isinstance(numbers, (tuple, list)):
        return False
    axes = [number % rank for number in numbers if isinstance(number, int)]
    return 0 in axes and not (name == "dims" and len(axes) == rank and axes[0] == 0)


def shifted(given: Arguments) -> Arguments:
    """Arguments whose axes are counted behind one more in front."""
    return {name: _shifted(value) if name in AXES else value for name, value in given.items()}


def _shifted(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_shifted(one) for one in value]
    return value + 1 if isinstance(value, int) and value >= 0 else value
