"""torch.export, with a free batch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import partial, wraps
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from nanotool.errors import NanoError
from nanotool.frontends.torch.ends import call_of, is_tensor
from nanotool.frontends.torch.memory import Memory

STAND_IN = 61  # a batch size that no other axis is likely to have


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep PyTorch's warnings and logs to itself: what matters to us is refused."""
    level = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


def as_the_weights(model: nn.Module, given: Any) -> Any:
    """The tensors in ``given`` on the device and in the precision of ``model``'s first
    floating-point weight; whole numbers stay such."""
    kinds = (
        tensor
        for tensor in (*model.parameters(), *model.buffers())
        if tensor.is_floating_point() and not nn.parameter.is_lazy(tensor)
    )
    like = next(kinds, None)
    if like is None:
        return given

    def moved(leaf: Any) -> Any:
        if not is_tensor(leaf):
            return leaf
        return leaf.to(like.device, like.dtype if leaf.is_floating_point() else leaf.dtype)

    return tree_map(moved, given)


def export(
    model: nn.Module, given: Mapping[str, Any], memory: Memory
) -> torch.export.ExportedProgram:
    """Export ``model``, in eval mode, called with the arguments ``given``, with a free batch
    dimension; a step, which has a ``memory``, for one sample, as they are, and with the buffers of
    the memory behind its results.

    Where the forward pins it to the example's (len(x) does), a batch of STAND_IN samples takes its
    place, and every result has to keep that size in front.
    """
    if memory:
        ways: tuple[tuple[int, Any], ...] = ((0, None),)
    else:
        free = torch.export.Dim("batch", min=2, max=65536)  # 1 is special to torch
        ways = ((2, free), (STAND_IN, None))
    reason = ""
    for count, dimension in ways:
        call = call_of(model, tree_map(partial(_resized, count=count), dict(given)))
        shapes = None
        if dimension is not None:
            free_axes = partial(_free, dimension=dimension)
            shapes = {name: tree_map(free_axes, value) for name, value in given.items()}
        try:
            # What torch made so far goes to stderr where it gives up.
            silent = contextlib.redirect_stderr(io.StringIO())
            with torch.no_grad(), quiet(), silent, _showing(model, memory.buffers):
                return torch.export.export(model, call.args, call.kwargs, dynamic_shapes=shapes)
        except Exception as error:
            # torch.export raises a dozen types, from its own to ValueError and RuntimeError.
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = reason or (lines[0] if lines else type(error).__name__)[:300]
            if "data-dependent" in reason:
                reason = "it takes a number out of its data (float(x), x.item(), if x.sum() > 0)."
    raise NanoError(
        f"torch.export cannot trace {type(model).__name__}: {reason}",
        "Its forward must take tensors, keep the batch as their first axis (x.flatten(1), not "
        "x.view(1, -1)) and have no control flow that depends on the data. Check that "
        "model(example) runs.",
    )


@contextlib.contextmanager
def _showing(model: nn.Module, buffers: Iterable[str]) -> Iterator[None]:
    """``model`` gives its ``buffers`` behind its results: torch.export loses what a module within
    it assigns to one."""
    names = list(buffers)
    if not names:
        yield
        return
    plain, own = model.forward, vars(model).get("forward")

    @wraps(plain)
    def forward(*args: Any, **kwargs: Any) -> Any:
        return plain(*args, **kwargs), [model.get_buffer(name) for name in names]

    model.forward = forward
    try:
        yield
    finally:
        del model.forward
        if own is not None:
            model.forward = own


def _resized(leaf: Any, count: int) -> Any:
    """Zeros in the place of a tensor, ``count`` samples of it; 0: as many as it has."""
    if not is_tensor(leaf):
        return leaf
    shape = (count, *leaf.shape[1:]) if count and leaf.ndim else leaf.shape
    return leaf.detach().new_zeros(shape)


def _free(leaf: Any, dimension: Any) -> Any:
    return {0: dimension} if is_tensor(leaf) and leaf.ndim else None
