"""The tables of operators in docs/, out of the registries of the rooms.

    python -m bench.operator_tables      put them into docs/operators.md, docs/adding-an-operator.md

A test compares: an entry that is left out, or added, shows there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any

import nanotool
from bench import pages
from nanotool import unary
from nanotool.backends.tflite import emits
from nanotool.backends.tflite.file import Codes
from nanotool.frontends.tflite.importers import IMPORTERS
from nanotool.frontends.torch.walk import HANDLERS
from nanotool.ir import Binary, Op, Quantize, Reduce, Resize, Unary
from nanotool.ops import INT16_OPERATORS, OPERATORS, ROOMS, Reads, Registry, Room, facts
from nanotool.ops.shape import BINARY_FUNCTIONS, REDUCTIONS

MAKER = "bench.operator_tables"
CODES = {code: name for name, code in vars(Codes).items() if not name.startswith("_")}


def operators() -> str:
    """What becomes each operator, and what it is written as."""
    rows = [
        (
            operator.__name__,
            listed(_read(HANDLERS, operator)),
            listed(name + _mark(name) for name in _read(IMPORTERS, operator)),
            listed(CODES[code] for code in emits.writes.get(operator, ())),
            _in_int16(operator),
        )
        for operator in OPERATORS
    ]
    nothing = (name for name, makes in HANDLERS.makes.items() if not makes)
    rows.append(("nothing", listed(nothing), "–", "–", "–"))
    head = ("operator", "from PyTorch", "from .tflite", "to .tflite", "in int16")
    return pages.markdown(head, rows)


def _in_int16(operator: type[Op]) -> str:
    """Whether it takes activations in int16; which of its functions do."""
    words = {
        Unary: (*unary.IN_INT16, "leaky_relu"),
        Binary: [name for name in BINARY_FUNCTIONS if facts(Binary(name)).int16],
        Reduce: [name for name in REDUCTIONS if facts(Reduce(name, (0,))).int16],
        Resize: ["nearest"],
    }
    if operator in words:
        return listed(words[operator])
    return "yes" if operator in (*INT16_OPERATORS, Quantize) else "–"


def _read(room: Reads[Any], operator: type[Op]) -> list[str]:
    return [name for name in room.handlers if operator in room.makes[name]]


def _mark(name: str) -> str:
    """A dagger for a function that TensorFlow Lite Micro has not for int8."""
    function = name.lower()
    known = function in unary.FUNCTIONS and not unary.definition(function).in_tflm
    return " †" if known else ""


def rooms() -> str:
    """The rooms that take operators, and those that have a function of their own there."""
    rows = [(f"`{room.room}`", own(room)) for room in every_room() if isinstance(room, Registry)]
    return pages.markdown(("room", "operators with a function"), rows)


def own(room: Room[Any, Any]) -> str:
    """What has a function in ``room``."""
    if isinstance(room, Reads):
        return listed(room.handlers)
    if set(room.handlers) == set(room.expected):
        never = [one.__name__ for one in OPERATORS if one not in room.expected]
        return f"all but {listed(never)}" if never else "all"
    return f"{listed(one.__name__ for one in room.handlers)}; for the others a default"


def every_room() -> list[Room[Any, Any]]:
    """By name, all of nanotool imported."""
    for module in pkgutil.walk_packages(nanotool.__path__, "nanotool."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(ROOMS, key=lambda room: room.room)


def listed(names: Iterable[str]) -> str:
    """In order, each once; a dash for none."""
    return ", ".join(sorted(set(names))) or "–"


TABLES = {"operators.md": operators, "adding-an-operator.md": rooms}

if __name__ == "__main__":
    for page, table in TABLES.items():
        pages.update(page, MAKER, table())
