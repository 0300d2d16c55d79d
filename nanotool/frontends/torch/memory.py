"""The states that a user asks for: arguments and buffers of a module, or of an exported program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_map

from nanotool.errors import NanoError
from nanotool.frontends.torch.ends import leaves, parameters_of, program_inputs, state_parts
from nanotool.inputs import as_array

# By name, with an initial value or without; names alone; or one name.
States: TypeAlias = "Mapping[str, Any] | Sequence[str] | str | None"


@dataclass(frozen=True, slots=True)
class Memory:
    """The states by name, with what the first step reads."""

    arguments: Mapping[str, Any] = field(default_factory=dict)  # tensors, or nestings of them
    buffers: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.arguments or self.buffers)

    @property
    def parts(self) -> dict[str, torch.Tensor]:
        """The arguments' tensors by name: each is a state of its own."""
        return {
            name: tensor
            for state, value in self.arguments.items()
            for name, tensor in state_parts(state, value).items()
        }


def memory_of(model: nn.Module, states: States) -> Memory:
    """The ``states`` of a copy of a module, whose buffers get the initial values that are given.
    NanoError for what is neither an argument nor a buffer, or has no initial value."""
    known = parameters_of(model).names
    arguments: dict[str, Any] = {}
    buffers: dict[str, torch.Tensor] = {}
    for name, value in _listed(states).items():
        if name in known:
            if value is None:
                raise NanoError(
                    f"The state {name} is an argument of the forward, and has no initial value.",
                    f"Give it, as the forward takes it for one sample: states={{{name!r}: "
                    "torch.zeros(1, 8)}.",
                )
            arguments[name] = tree_map(lambda leaf, name=name: _tensor(name, leaf), value)
        else:
            buffers[name] = _buffer(model, name, value)
    return Memory(arguments, buffers)


def _buffer(model: nn.Module, name: str, value: Any) -> torch.Tensor:
    path, _, last = name.rpartition(".")
    owner = dict(model.named_modules()).get(path)
    if owner is None or last not in owner._buffers:
        raise _unknown(name, parameters_of(model).names, [n for n, _ in model.named_buffers()])
    if value is not None:
        before = owner._buffers[last]
        tensor = _tensor(name, value)
        owner._buffers[last] = tensor.clone() if before is None else tensor.to(before).clone()
    found = owner._buffers[last]
    if found is None:
        raise NanoError(
            f"The buffer {name} holds nothing yet.",
            f"Give its initial value: states={{{name!r}: torch.zeros(1, 8)}}.",
        )
    return _tensor(name, found.detach().clone())


def program_memory(program: torch.export.ExportedProgram, states: States) -> Memory:
    """The ``states`` of an exported program; an argument without an initial value begins with
    zeros."""
    signature = program.graph_signature
    inputs = program_inputs(program)
    held = {**program.constants, **program.state_dict}
    targets = dict.fromkeys(signature.inputs_to_buffers.values())
    arguments: dict[str, Any] = {}
    buffers: dict[str, torch.Tensor] = {}
    for name, value in _listed(states).items():
        parts = [part for part in inputs if part == name or part.startswith(f"{name}.")]
        if parts:
            shapes = dict(zip(inputs, _shapes(program), strict=True))
            for part in parts:
                arguments[part] = torch.zeros(shapes[part])
            if value is not None:
                given = leaves({name: tree_map(lambda leaf, name=name: _tensor(name, leaf), value)})
                if set(given) != set(parts):
                    raise NanoError(
                        f"The state {name} consists of {', '.join(parts)}.", "Give each of them."
                    )
                arguments |= given
        elif name in targets:
            buffers[name] = _tensor(name, held[name] if value is None else value)
        else:
            known = tuple(dict.fromkeys(one.split(".")[0] for one in inputs))
            raise _unknown(name, known, list(targets))
    return Memory(arguments, buffers)


def _shapes(program: torch.export.ExportedProgram) -> list[tuple[int, ...]]:
    """Of the user's inputs, with one sample where the batch is free."""
    found: list[tuple[int, ...]] = []
    nodes = {node.name: node for node in program.graph.nodes}
    for name in program.graph_signature.user_inputs:
        node = nodes.get(str(name))
        value = None if node is None else node.meta.get("val")
        sizes = value.shape if isinstance(value, torch.Tensor) else ()
        found.append(tuple(size if isinstance(size, int) else 1 for size in sizes))
    return found


def _listed(states: States) -> dict[str, Any]:
    if states is None:
        return {}
    if isinstance(states, str):
        return {states: None}
    return dict(states) if isinstance(states, Mapping) else dict.fromkeys(states)


def _tensor(name: str, value: Any) -> torch.Tensor:
    """An initial value as real numbers."""
    given = (
        value if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(as_array(value)))
    )
    if not given.is_floating_point():
        raise NanoError(
            f"The state {name} is {str(given.dtype).removeprefix('torch.')}.",
            "A state holds real numbers: shift or roll a buffer instead of counting where in it "
            "to write, and begin with floats (torch.zeros).",
        )
    if not bool(given.isfinite().all()):
        raise NanoError(f"The initial value of {name} holds NaN or infinity.", "Begin with zeros.")
    return given.detach()


def _unknown(name: str, arguments: Sequence[str], buffers: Sequence[str]) -> NanoError:
    return NanoError(
        f"The state {name} is neither an argument of the forward ({', '.join(arguments)}) nor a "
        f"buffer ({', '.join(buffers) or 'there is none'}).",
        "A tensor that the module keeps becomes a buffer by self.register_buffer(name, tensor).",
    )
