"""What an fx node says about itself."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import torch
from torch import fx

Arguments: TypeAlias = dict[str, Any]


def operator_name(node: fx.Node) -> str:
    """The ATen operator without name space and overload: "max_pool2d", "relu_"."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return str(target._schema.name).split("::")[-1]
    return str(getattr(target, "__name__", target))


# Of operators whose names mean what they say in PyTorch.
SPACES = frozenset({"aten", "prims", "quantized_decomposed", "torchao", "torchvision"})


def is_of_torch(node: fx.Node) -> bool:
    """Whether PyTorch brings the operator, or an add-on of its makers'."""
    return qualified_name(node).split("::")[0] in SPACES


def qualified_name(node: fx.Node) -> str:
    """The operator with its name space: "aten::relu"."""
    target = node.target
    return str(target._schema.name) if isinstance(target, torch._ops.OpOverload) else ""


def named_arguments(node: fx.Node) -> Arguments:
    """A node's arguments by the names of its ATen schema, defaults filled in."""
    assert isinstance(node.target, torch._ops.OpOverload)
    schema = node.target._schema.arguments
    found = {argument.name: argument.default_value for argument in schema}
    found.update(zip((argument.name for argument in schema), node.args, strict=False))
    found.update(node.kwargs)
    return found


def module_path(node: fx.Node) -> str:
    """Where in the user's module tree ``node`` was called: "features.4", "" at the top."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [str(path) for path, _ in stack.values() if "_empty_nn_module" not in str(path)]
    # A module called a second time is written "features.4@1".
    return re.sub(r"@\d+", "", paths[-1]) if paths else ""


def module_kinds(node: fx.Node) -> set[str]:
    """The classes of the modules in whose forward ``node`` was called, without their packages."""
    stack = node.meta.get("nn_module_stack") or {}
    return {str(kind).rsplit(".", 1)[-1] for _, kind in stack.values()}


def provenance(node: fx.Node) -> str:
    """The module's path; where a forward calls a function, its name behind the path."""
    path = module_path(node)
    stack = node.meta.get("nn_module_stack") or {}
    kinds = [str(kind) for _, kind in stack.values()]
    leaf = bool(kinds) and kinds[-1].startswith("torch.nn.modules.")
    return path if leaf and path else f"{path}.{operator_name(node)}".strip(".")


def is_number(value: Any) -> bool:
    """Whether a node's result is a size, or a statement about sizes."""
    return isinstance(value, (torch.SymInt, torch.SymBool, torch.SymFloat, int, float, bool))


def sizes(value: Any, count: int) -> list[int]:
    """``count`` sizes, one an axis, from one number, or from one for each."""
    numbers = [int(value)] if isinstance(value, int) else [int(number) for number in value]
    return numbers * count if len(numbers) == 1 else numbers


def image_sizes(value: Any, axes: int, fill: int) -> tuple[int, int]:
    """(height, width) of a layer over 1 or 2 ``axes``; with one, the height's is ``fill``."""
    numbers = sizes(value, axes)
    return (fill, numbers[0]) if axes == 1 else (numbers[0], numbers[1])
