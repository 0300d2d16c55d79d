"""What a forward takes and gives, by name: tensors in any nesting of tuples, lists, dictionaries.

A tensor is called as its parameter, a part of a nested one with its key behind a dot ("pair.0",
"batch.left"); parts of the one dictionary that a forward takes, and of what it gives, by their keys
alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.utils._pytree import (
    MappingKey,
    SequenceKey,
    tree_flatten_with_path,
    tree_leaves,
    tree_unflatten,
)

from nanotool.errors import NanoError

INPUT = "input"  # what the only tensor of a forward is called

# State by name: its initial value, a tensor or a nesting of them; None: what a buffer holds.
States: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a forward that tensors are given for."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    signature: inspect.Signature | None = None  # of a module's forward

    def without(self, states: Iterable[str]) -> Parameters:
        """But for those that are states."""
        gone = set(states)
        return Parameters(
            tuple(name for name in self.names if name not in gone),
            tuple(name for name in self.required if name not in gone),
            self.signature,
        )

    @property
    def rest(self) -> str:
        """The name of a forward's `*args`, which takes any number; "" if it has none."""
        every = () if self.signature is None else self.signature.parameters.values()
        kinds = {p.name: p.kind for p in every}
        found = [n for n, kind in kinds.items() if kind is inspect.Parameter.VAR_POSITIONAL]
        return found[0] if found else ""


def parameters_of(model: Any) -> Parameters:
    """Of a module's forward, or of an exported program."""
    if not isinstance(model, nn.Module):
        names = tuple(dict.fromkeys(name.split(".")[0] for name in _program_tree(model)))
        return Parameters(names, names)
    signature = inspect.signature(model.forward)
    plain = [
        p
        for p in signature.parameters.values()
        if p.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    required = tuple(p.name for p in plain if p.default is inspect.Parameter.empty)
    return Parameters(tuple(p.name for p in plain), required, signature)


def arguments(parameters: Parameters, item: Any) -> dict[str, Any]:
    """The arguments by name that ``item`` of a user's data holds: one tensor, a tuple in the order
    of the parameters, perhaps with targets behind it, or a dictionary; NanoError where it fits
    none of them."""
    names, required = parameters.names, parameters.required
    least = max(len(required), 1)
    if isinstance(item, Mapping):
        return _by_name(parameters, item)
    if not isinstance(item, (tuple, list)):
        if len(required) > 1:
            raise _unfit(parameters, "one tensor")
        return _in_order(parameters, (item,))
    if len(item) == 2 and _is_all(parameters, item[0]):
        return arguments(parameters, item[0])
    if parameters.rest and len(item) >= least:
        return _in_order(parameters, item)
    if len(item) < least or not (names or parameters.rest):
        raise _unfit(parameters, f"{len(item)} tensors")
    return _in_order(parameters, item[:least])


def _is_all(parameters: Parameters, first: Any) -> bool:
    """Whether the first of a pair is all inputs, so that the second is a target."""
    if isinstance(first, Mapping):
        return set(first) <= set(parameters.names) and set(parameters.required) <= set(first)
    several = isinstance(first, (tuple, list))
    return several and len(parameters.required) > 1 and len(first) >= len(parameters.required)


def _by_name(parameters: Parameters, item: Mapping[Any, Any]) -> dict[str, Any]:
    names, required = (*parameters.names, parameters.rest), parameters.required
    keys = {str(key): key for key in item}
    if set(keys) == {str(number) for number in range(len(keys))} and not set(keys) & set(names):
        return _in_order(parameters, tuple(item[keys[str(i)]] for i in range(len(keys))))
    if set(keys) == {INPUT} and len(required or parameters.names) == 1:
        return _in_order(parameters, tuple(item.values()))
    nested = _nested({str(key): value for key, value in item.items()})
    if set(nested) <= set(names) and set(required) <= set(nested):
        return {name: nested[name] for name in names if name in nested}
    single = required or parameters.names
    if len(single) == 1 and not set(nested) & set(names):
        return {single[0]: nested}
    raise _unfit(parameters, ", ".join(keys) or "nothing")


def _in_order(parameters: Parameters, items: Sequence[Any]) -> dict[str, Any]:
    names = (*parameters.required, *(n for n in parameters.names if n not in parameters.required))
    found: dict[str, Any] = dict(zip(names, items, strict=False))
    if len(items) > len(found):
        if not parameters.rest:
            raise _unfit(parameters, f"{len(items)} tensors")
        found[parameters.rest] = tuple(items[len(found) :])
    order = parameters.names if parameters.signature is None else parameters.signature.parameters
    return {name: found[name] for name in order if name in found}


def _unfit(parameters: Parameters, held: str) -> NanoError:
    takes = ", ".join(parameters.names) or parameters.rest or "nothing"
    several = len(parameters.required) > 1
    return NanoError(
        f"The data hold {held}; the forward takes {takes}.",
        "Give several inputs as a tuple of arrays in this order, a dictionary of arrays by these "
        "names, or an iterable of batches that are such."
        if several
        else "Give arrays N x what one input has.",
    )


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """{"pair.0": a, "pair.1": b} as {"pair": (a, b)}, as names of parts in a .npz say."""
    result: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        first, dot, rest = name.partition(".")
        if dot:
            parts.setdefault(first, {})[rest] = value
        else:
            result[name] = value
    for first, held in parts.items():
        if first in result:
            raise NanoError(f"The data hold {first}, and parts of it.", "Give one of them.")
        inner = _nested(held)
        numbers = [str(number) for number in range(len(inner))]
        listed = set(inner) == set(numbers)
        result[first] = tuple(inner[number] for number in numbers) if listed else inner
    return result


# --- Names ----------------------------------------------------------------------------------------


def leaves(given: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of a forward's arguments by name, in the order in which it takes them; None and
    plain numbers are no tensors, and stay as they are."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        for path, leaf in tree_flatten_with_path(value)[0]:
            parts = [_text(key) for key in path]
            alone = len(given) == 1 and bool(path) and isinstance(path[0], MappingKey)
            found[".".join(parts if alone else [name, *parts])] = leaf
    return found


def results(value: Any) -> list[tuple[str, Any]]:
    """What a forward gives, each with its name; "" for all where there are no names."""
    flat = tree_flatten_with_path(value)[0]
    named = any(not isinstance(key, SequenceKey) for path, _ in flat for key in path)
    return [(".".join(map(_text, path)) if named else "", leaf) for path, leaf in flat]


def _text(key: Any) -> str:
    for name in ("key", "idx", "name"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)


def program_inputs(program: torch.export.ExportedProgram) -> list[str]:
    """The names of a program's user inputs, in order."""
    return list(_program_tree(program))


def program_results(program: torch.export.ExportedProgram, values: Sequence[Any]) -> Any:
    """``values``, one each of a program's results, in the nesting that its forward gives."""
    spec = program.call_spec.out_spec
    assert spec is not None
    return tree_unflatten(list(values), spec)


def _program_tree(program: torch.export.ExportedProgram) -> dict[str, Any]:
    spec = program.call_spec.in_spec
    assert spec is not None
    args, kwargs = tree_unflatten(list(range(spec.num_leaves)), spec)
    first = program.module_call_graph[0].signature if program.module_call_graph else None
    known = list((first.forward_arg_names if first is not None else None) or ())
    given = {known[i] if i < len(known) else f"input_{i}": value for i, value in enumerate(args)}
    return leaves({**given, **kwargs})


# --- Calls ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call of a forward."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All of them."""
        return [leaf for leaf in tree_leaves((self.args, self.kwargs)) if is_tensor(leaf)]


def is_tensor(leaf: Any) -> bool:
    """Whether a leaf is a tensor."""
    return isinstance(leaf, torch.Tensor)


def call_of(model: nn.Module, given: Mapping[str, Any]) -> Call:
    """The call of ``model`` with arguments by name: by place, as far as that goes."""
    signature = inspect.signature(model.forward)
    bound = inspect.BoundArguments(
        signature,
        {name: given[name] for name in signature.parameters if name in given},
    )
    return Call(bound.args, bound.kwargs)


# --- States ---------------------------------------------------------------------------------------


def state_parts(name: str, value: Any) -> dict[str, Any]:
    """The tensors of which the state ``name`` consists, by name."""
    return {
        ".".join([name, *(_text(key) for key in path)]): leaf
        for path, leaf in tree_flatten_with_path(value)[0]
    }


def next_states(found: Sequence[tuple[str, Any]], wanted: Sequence[str]) -> list[int]:
    """Which of a forward's results are the next values of its arguments ``wanted``: those with
    their names; without any such names, the last ones. NanoError where there are too few."""
    names = [name for name, _ in found]
    if all(name in names for name in wanted):
        return [names.index(name) for name in wanted]
    tuples = all(name.split(".")[0].isdigit() or not name for name in names)
    if len(found) <= len(wanted) or not tuples:
        given = ", ".join(name or str(number) for number, name in enumerate(names))
        raise NanoError(
            f"The forward takes the state {', '.join(wanted)}, and gives {given}.",
            "Return what takes the state's place: under its name in a dictionary, or behind the "
            "outputs, (x, h) -> (y, h).",
        )
    return list(range(len(found) - len(wanted), len(found)))
