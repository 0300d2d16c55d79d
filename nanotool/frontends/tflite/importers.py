"""Which function imports which operator of a .tflite file.

An importer takes a `Call` and adds to its graph. It computes the shapes by itself: what the file
says is compared with that, never trusted. Axes are those of the file, batch included, until
they are written; where an operator touches the batch axis, its tensors are seen with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from nanotool.frontends.tflite.builder import Call
from nanotool.ir import Custom, GroupNorm, Gru, LayerNorm, Op, Rnn
from nanotool.ops import Reads

Import: TypeAlias = Callable[[Call], None]
MANY = 4096  # inputs of a concatenation


@dataclass(frozen=True)
class Importer:
    """How an operator is imported, and how many inputs it has."""

    run: Import
    least: int = 1
    most: int = 1
    several: bool = False  # more than one output
    unread: frozenset[int] = frozenset()  # inputs that say what the output's shape says too
    border: bool = False  # its tensors may be of any type
    types: frozenset[str] = frozenset({"INT8"})  # of its activations


IMPORTERS = Reads[Importer](
    "frontends/tflite", without=(Gru, Rnn, LayerNorm, GroupNorm, Custom)
)  # by the operator's name in the schema


def imports(
    code: str,
    makes: type[Op] | tuple[type[Op], ...],
    least: int = 1,
    most: int = 1,
    *,
    several: bool = False,
    unread: frozenset[int] = frozenset(),
    border: bool = False,
    types: frozenset[str] = Importer.types,
) -> Callable[[Import], Import]:
    """Register the function below for the operator ``code``, which becomes ``makes`` (`Reads`)."""

    def register(run: Import) -> Import:
        IMPORTERS(code, makes=makes)(Importer(run, least, most, several, unread, border, types))
        return run

    return register
