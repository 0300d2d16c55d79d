"""Operators without a handler, by what PyTorch itself makes of them.

Only those are decomposed, one after the other, as the walk meets them: what has a handler stays
whole, and comes out in its own arithmetic.
"""

from __future__ import annotations

import torch

from nanotool.errors import UnsupportedOp
from nanotool.frontends.torch.export import quiet
from nanotool.frontends.torch.hints import HINTS
from nanotool.frontends.torch.memory import Memory
from nanotool.frontends.torch.walk import Unhandled, Walk
from nanotool.ir import Graph

MOST = 12  # operators of a program that are decomposed


def walked(
    program: torch.export.ExportedProgram, name: str, memory: Memory, *, shown: bool = False
) -> Graph:
    """The graph of ``program``. UnsupportedOp names the operator that the user called, though it
    may be a part of it that has no form. Steps, which have a ``memory``, stay as they are: what
    they assign to is told by the operators that they were traced to."""
    taken: dict[object, object] = {}
    whole = program
    first: UnsupportedOp | None = None
    while True:
        try:
            return Walk(program, name, memory=memory, shown=shown).graph()
        except UnsupportedOp as error:
            first = first or error
            target = error.target if isinstance(error, Unhandled) else None
            part = _decomposition(target)
            if memory or part is None or target in taken or len(taken) == MOST:
                raise first from None
            taken[target] = part
        try:
            with quiet():
                program = whole.run_decompositions(dict(taken))
        except Exception:  # of any type: what a decomposition cannot do with free sizes
            raise first from None


def _decomposition(target: object) -> object | None:
    """A function that computes ``target`` by smaller operators; None without one, or if there is a
    better way, which `HINTS` tells."""
    if not isinstance(target, torch._ops.OpOverload):
        return None
    if str(target._schema.name).split("::")[-1].rstrip("_") in HINTS:
        return None
    table = torch.export.default_decompositions()
    return table[target] if target in table else torch._decomp.decomposition_table.get(target)
