"""Operators that packages bring, by their names in PyTorch."""

from __future__ import annotations

from torch import fx

from nanotool.frontends.torch.fx_nodes import Arguments, qualified_name
from nanotool.frontends.torch.hints import DEFAULT_HINT
from nanotool.frontends.torch.walk import Value, Walk, falls_back
from nanotool.ops import custom

HINT = f"Where its package shall bring it: an entry point of the group {custom.GROUP}."


@falls_back
def _custom(walk: Walk, given: Arguments, node: fx.Node) -> Value:
    """Its tensors, then its numbers, as `CustomOperator` says; None of another operator."""
    known = custom.installed().get(qualified_name(node))
    if known is None:
        return None
    values = list(given.values())
    tensors, numbers = values[: known.inputs], values[known.inputs :]
    names = tuple(list(given)[known.inputs :])
    if len(tensors) < known.inputs or names != known.numbers:
        walk.refuse(f"{known.name} with the arguments {', '.join(given)}", HINT)
    sources = tuple(_tensor(walk, one) for one in tensors)
    op = known.made(walk.number(value, name) for name, value in zip(names, numbers, strict=True))
    return walk.emit(op, sources, walk.batchless(node))


def _tensor(walk: Walk, argument: object) -> str:
    """An activation, or a constant of the operator."""
    if walk.is_activation(argument):
        return walk.source(argument)
    data = walk.constant(argument, "operand")
    if data is None:
        walk.refuse("an operand that is missing", DEFAULT_HINT)
    return walk.add_constant(data, "operand")
