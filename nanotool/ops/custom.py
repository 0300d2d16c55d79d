"""Operators that other packages bring, and how they are found.

A package describes its operators (`CustomOperator`) and names them in its entry points:

    [project.entry-points."nanotool.operators"]
    lab = "lab_operators:OPERATORS"  # a CustomOperator, or several

All packages of that group are asked, once, when the first such operator is met. A model's file only
names an operator: which packages are imported is what is installed, never what a file says.
"""

from __future__ import annotations

import functools
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from nanotool.errors import InvalidModel, NanoError, NanoWarning
from nanotool.ir import Custom, QGraph, Shape

GROUP = "nanotool.operators"
NAME = re.compile(r"[A-Za-z_]\w{0,30}::[A-Za-z_]\w{0,30}", re.ASCII)
_FILE = re.compile(r"[A-Za-z_][\w-]{0,60}\.[ch]", re.ASCII)
MOST_INPUTS = 2  # NANO_MAX_INPUTS
MAX_SOURCE = 1 << 20  # bytes of one C file

Order: TypeAlias = Literal["any", "torch", "channels_last"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomOperator:
    """An operator that a package brings.

    ``name`` is that of its PyTorch operator (`torch.library.custom_op`), "lab::snake", and stands
    in .nano files, for good. Its PyTorch arguments are first ``inputs`` tensors and then the
    ``numbers``, by their names; a `Custom` has their values, in that order.

    The functions get the operator, `Custom`, with its values, or the layer, whose ``op`` it is.
    Arrays have the batch as their first axis, shapes have none. What a function cannot take, it
    refuses with a ValueError, or by ``layer.refuse``.
    """

    name: str
    shape: Callable[[Custom, tuple[Shape, ...]], Shape]  # of the output, by those of the inputs
    real: Callable[..., Any]  # (op, *float arrays) -> float array: what PyTorch computes
    integer: Callable[..., Any]  # (Layer, *int8 arrays) -> int8 array: what the C kernel computes
    lower: Callable[..., Any]  # TargetLayer -> Call: the kernel, its params, overlap and scratch
    sources: tuple[Path, ...]  # its .c and .h files: they travel with an exported model
    numbers: tuple[str, ...] = ()
    inputs: int = 1
    # How the axes lie that it sees: "any" is for element-wise ones (all inputs then have the
    # output's shape), "torch" as in PyTorch, "channels_last" with images as H, W, C.
    order: Order = "torch"
    clamps: bool = False  # integer() and the kernel mind layer.clamp: a ReLU behind is fused
    fixed_output: tuple[float, int] | None = None  # scale, zero point, where there is no choice
    # (op, *tensors) -> tensor, with gradients, where the operator of PyTorch has none
    torch: Callable[..., Any] | None = None
    # Layer -> None: refuses scales, by InvalidModel, that integer() and the kernel cannot take
    check: Callable[..., Any] | None = None
    # (numpy Generator, shape of an input) -> (numbers, shapes of the other inputs), or None if
    # that shape cannot be an input: what random graphs try
    random: Callable[..., tuple[tuple[float, ...], tuple[Shape, ...]] | None] | None = None

    def __post_init__(self) -> None:
        """TypeError for what cannot be one: a mistake in its package."""
        if not NAME.fullmatch(self.name):
            raise TypeError(f"{self.name!r} is no name of a PyTorch operator, as lab::snake is.")
        if not 1 <= self.inputs <= MOST_INPUTS:
            raise TypeError(f"{self.name}: 1 to {MOST_INPUTS} inputs, not {self.inputs}.")
        if self.order not in {"any", "torch", "channels_last"}:
            raise TypeError(f"{self.name}: there is no order {self.order!r}.")
        for path in self.sources:
            if not _FILE.fullmatch(path.name):
                raise TypeError(f"{self.name}: {path.name} is no name of a C file.")

    def made(self, numbers: Iterable[float]) -> Custom:
        """The operator with these values."""
        return Custom(self.name, tuple(float(number) for number in numbers))

    def value(self, op: Custom, number: str) -> float:
        """The value of one of the ``numbers``."""
        return op.numbers[self.numbers.index(number)]

    def files(self) -> dict[str, bytes]:
        """The content of its C files, by name; NanoError for one that cannot be read."""
        found = {}
        for path in self.sources:
            try:
                found[path.name] = path.read_bytes()
            except OSError as error:
                raise NanoError(
                    f"{self.name}: cannot read {path.name}: {error.strerror or error}.",
                    "Install its package again, with its C files as package data.",
                ) from error
            if len(found[path.name]) > MAX_SOURCE:
                raise NanoError(f"{self.name}: {path.name} is larger than 1 MB.")
        return found


@functools.cache
def installed() -> Mapping[str, CustomOperator]:
    """The operators of all installed packages, by name. A package that cannot be used is named in
    a warning, and left out; of two operators of one name the first one's package stays."""
    found: dict[str, CustomOperator] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        for operator in _brought(entry):
            if operator.name in found:
                _warn(entry, f"{operator.name} is another package's, too")
            else:
                found[operator.name] = operator
    return MappingProxyType(found)


def _brought(entry: EntryPoint) -> tuple[CustomOperator, ...]:
    try:
        given = entry.load()
    except Exception as error:  # whatever a package raises when it is imported
        _warn(entry, f"{type(error).__name__}: {error}")
        return ()
    several = (given,) if isinstance(given, CustomOperator) else given
    if not isinstance(several, (tuple, list)) or not all(
        isinstance(one, CustomOperator) for one in several
    ):
        _warn(entry, "it is no CustomOperator, and no tuple of them")
        return ()
    return tuple(several)


def _warn(entry: EntryPoint, reason: str) -> None:
    where = entry.dist.name if entry.dist is not None else entry.value
    text = " ".join(f"{where}: {reason}".split())[:300]
    warnings.warn(f"An operator cannot be used: {text}.", NanoWarning, stacklevel=2)


def definition(name: str) -> CustomOperator:
    """The operator ``name``; InvalidModel if no installed package brings it."""
    found = installed().get(name)
    if found is None:
        there = ", ".join(sorted(installed())) or "none"
        raise InvalidModel(
            f"The model needs the operator {name[:80]!r}, which no installed package brings.",
            f"Install the package that it is of, beside nanotool. Operators of packages: {there}.",
        )
    return found


def used(graph: QGraph) -> tuple[CustomOperator, ...]:
    """The operators of packages in ``graph``, each once, by name."""
    names = {op.op.function for op in graph.ops if isinstance(op.op, Custom)}
    return tuple(definition(name) for name in sorted(names))


def c_files(operators: Iterable[CustomOperator]) -> dict[str, str]:
    """The text of all their C files, by name. InvalidModel for two of one name, or other
    characters than ASCII's."""
    files: dict[str, str] = {}
    owners: dict[str, str] = {}
    for operator in operators:
        for file, content in operator.files().items():
            if not content.isascii():
                raise InvalidModel(
                    f"{operator.name}: its file {file} is not plain ASCII.",
                    "Tell those who made its package.",
                )
            text = content.decode("ascii").replace("\r\n", "\n")
            if files.setdefault(file, text) != text:
                raise InvalidModel(
                    f"{owners[file]} and {operator.name} both have a file {file}.",
                    "Only one of them can be in a model: tell those who made their packages.",
                )
            owners[file] = operator.name
    return files


def output_shape(op: Custom, shapes: tuple[Shape, ...]) -> Shape:
    """The shape that ``op`` yields; ValueError, with the reason, if it does not take ``shapes``."""
    known = definition(op.function)
    if len(op.numbers) != len(known.numbers) or not all(map(math.isfinite, op.numbers)):
        wanted = ", ".join(known.numbers) or "none"
        raise ValueError(f"its numbers are {op.numbers}, not those that it has: {wanted}")
    if len(shapes) != known.inputs:
        raise ValueError(f"it has {len(shapes)} inputs, not {known.inputs}")
    if known.order == "any" and len(set(shapes)) > 1:
        raise ValueError(f"its inputs {' and '.join(map(str, shapes))} differ in shape")
    return tuple(int(size) for size in known.shape(op, shapes))


def words(op: Custom) -> str:
    """lab::snake alpha 0.5."""
    known = installed().get(op.function)
    names = known.numbers if known is not None else ("",) * len(op.numbers)
    values = (f"{name} {number:g}".strip() for name, number in zip(names, op.numbers, strict=False))
    return " ".join((op.function, *values))
