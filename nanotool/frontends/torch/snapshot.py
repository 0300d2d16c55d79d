"""All that a module's forward can reach and change, as it is now: `Snapshot`.

Followed are the module tree with its buffers, parameters and attributes, containers and objects in
them, and of the user's functions and classes (forward, hooks, helpers) the closures, defaults,
class attributes and the globals that their code names. PyTorch's own code and the standard
library's are not followed, and iterators cannot be.
"""

from __future__ import annotations

import functools
import random
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

MAX_CELLS = 50_000  # things looked at
MAX_BYTES = 2**28  # of copies of tensors and arrays that are neither parameters nor buffers
LIBRARIES = sys.stdlib_module_names | {"torch", "numpy", "nanotool"}
PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.dtype, torch.device)
MISSING = object()
KINDS = {"_parameters": "parameter", "_buffers": "buffer", "_modules": "module"}


class Cell:
    """One thing that can change: `changes` names what has, `restore` undoes it."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name

    def changes(self) -> list[str]:
        """The names of what differs from when it was made."""
        raise NotImplementedError

    def restore(self) -> None:
        """Make it again what it was."""
        raise NotImplementedError


class _Names(Cell):
    """A dict, or the attributes of an object: which names it has, for which objects."""

    def __init__(
        self, kind: str, name: str, holder: MutableMapping[Any, Any], only: frozenset[str] | None
    ) -> None:
        super().__init__(kind, name)
        self.holder, self.only = holder, only
        self.before = self._now()

    def _now(self) -> dict[Any, Any]:
        if self.only is None:
            return dict(self.holder)
        return {key: self.holder[key] for key in self.only if key in self.holder}

    def _changed(self) -> list[Any]:
        now = self._now()
        keys = dict.fromkeys((*self.before, *now))
        return [k for k in keys if not same(self.before.get(k, MISSING), now.get(k, MISSING))]

    def changes(self) -> list[str]:
        return [joined(self.name, key) for key in self._changed() if not self._derived(key)]

    def _derived(self, key: Any) -> bool:
        """Whether it is a weight that a hook of PyTorch's (weight_norm, spectral_norm, pruning)
        computes anew before each call, to the same values, and keeps as an attribute."""
        parameters = self.before.get("_parameters", {})
        if not {f"{key}_orig", f"{key}_g"} & set(parameters):
            return False
        old, new = self.before.get(key), self.holder.get(key)
        if not (isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor)):
            return False
        return old.shape == new.shape and torch.allclose(old, new)

    def restore(self) -> None:
        changed = self._changed()
        if changed and self.only is None:
            self.holder.clear()
            self.holder.update(self.before)
            return
        for key in changed:
            if key in self.before:
                self.holder[key] = self.before[key]
            else:
                del self.holder[key]


class _Attributes(Cell):
    """A class's attributes, or those of an object that are no dict."""

    def __init__(self, kind: str, name: str, owner: Any, names: Callable[[], list[str]]) -> None:
        super().__init__(kind, name)
        self.owner, self.names = owner, names
        self.before = self._now()

    def _now(self) -> dict[str, Any]:
        if isinstance(self.owner, type):
            return dict(vars(self.owner))
        return {name: getattr(self.owner, name) for name in self.names()}

    def _changed(self) -> list[str]:
        now = self._now()
        keys = dict.fromkeys((*self.before, *now))
        return [k for k in keys if not same(self.before.get(k, MISSING), now.get(k, MISSING))]

    def changes(self) -> list[str]:
        return [joined(self.name, key) for key in self._changed()]

    def restore(self) -> None:
        for key in self._changed():
            if key in self.before:
                setattr(self.owner, key, self.before[key])
            else:
                delattr(self.owner, key)


class _Items(Cell):
    """A list, set, deque or bytearray."""

    def __init__(self, kind: str, name: str, items: Any) -> None:
        super().__init__(kind, name)
        self.items, self.before = items, list(items)

    def changes(self) -> list[str]:
        now = list(self.items)
        equal = len(now) == len(self.before) and all(map(same, now, self.before))
        return [] if equal else [self.name]

    def restore(self) -> None:
        if self.changes():
            self.items.clear()
            add = self.items.update if isinstance(self.items, set) else self.items.extend
            add(self.before)


class _Tensor(Cell):
    """A tensor's values, its memory, and what autograd keeps beside it."""

    def __init__(self, kind: str, name: str, tensor: torch.Tensor, copy: bool) -> None:
        super().__init__(kind, name)
        self.tensor, self.data = tensor, tensor.detach()
        self.copy = self.data.clone() if copy else None
        self.gradient, self.wanted = _gradient(tensor), tensor.requires_grad

    def changes(self) -> list[str]:
        now = self.tensor.detach()
        moved = now.shape != self.data.shape or now.dtype != self.data.dtype
        if moved or now.data_ptr() != self.data.data_ptr():
            return [self.name]
        if self.copy is not None and not _equal(now, self.copy):
            return [self.name]
        grown = _gradient(self.tensor) is not self.gradient
        return [self.name] if grown or self.tensor.requires_grad != self.wanted else []

    def restore(self) -> None:
        if not self.changes():
            return
        with torch.no_grad():
            if self.copy is not None:
                self.data.copy_(self.copy)
            self.tensor.data = self.data
        if self.tensor.is_leaf:
            self.tensor.requires_grad_(self.wanted)
            self.tensor.grad = self.gradient


class _Array(Cell):
    """A NumPy array's values."""

    def __init__(self, kind: str, name: str, array: np.ndarray[Any, Any]) -> None:
        super().__init__(kind, name)
        self.array, self.before = array, array.copy()

    def changes(self) -> list[str]:
        same_shape = self.array.shape == self.before.shape
        equal = same_shape and self.array.tobytes() == self.before.tobytes()
        return [] if equal else [self.name]

    def restore(self) -> None:
        if self.changes() and self.array.flags.writeable:
            self.array[...] = self.before


class _State(Cell):
    """What has a state to get and to set: a random generator, a closure's variable."""

    def __init__(
        self, kind: str, name: str, get: Callable[[], Any], put: Callable[[Any], Any]
    ) -> None:
        super().__init__(kind, name)
        self.get, self.put, self.before = get, put, get()

    def changes(self) -> list[str]:
        return [] if same(self.get(), self.before) else [self.name]

    def restore(self) -> None:
        if self.changes():
            self.put(self.before)


class Snapshot:
    """All that ``model`` and its forward can reach, and its ``inputs``, as they are now."""

    def __init__(self, model: nn.Module, inputs: Sequence[torch.Tensor] = ()) -> None:
        self.cells: list[Cell] = []
        self.storages: dict[int, tuple[str, str]] = {}  # of a tensor -> its kind and name
        self._seen: dict[int, Any] = {}  # by id; held, so that none is used again
        self._named: set[tuple[int, str]] = set()  # globals looked at
        self._left = MAX_BYTES
        self._todo: list[tuple[str, str, Any]] = [("attribute", "", model), *_generators()]
        self._todo += [("input", "input", tensor) for tensor in inputs]
        while self._todo and len(self.cells) < MAX_CELLS:
            kind, name, thing = self._todo.pop()
            if id(thing) not in self._seen and not isinstance(thing, PLAIN):
                self._seen[id(thing)] = thing
                self._visit(kind, name, thing)

    def changed(self) -> list[tuple[Cell, str]]:
        """What has changed since, each with its name."""
        return [(cell, name) for cell in self.cells for name in cell.changes()]

    def restore(self) -> None:
        """Make everything again what it was."""
        for cell in self.cells:
            cell.restore()

    # --- What there is to look at ---------------------------------------------------------------

    def _visit(self, kind: str, name: str, thing: Any) -> None:
        if isinstance(thing, torch.Tensor):
            self._tensor(kind, name, thing)
        elif isinstance(thing, nn.Module):
            self._module(kind, name, thing)
        elif isinstance(thing, (dict, types.MappingProxyType)):
            if isinstance(thing, dict):
                self.cells.append(_Names(kind, name, thing, None))
            self._follow(kind, ((joined(name, key), value) for key, value in thing.items()))
        elif isinstance(thing, (list, tuple, set, frozenset, deque, bytearray)):
            if not isinstance(thing, (tuple, frozenset)):
                self.cells.append(_Items(kind, name, thing))
            if not isinstance(thing, bytearray):
                self._follow(kind, ((f"{name}[{i}]", item) for i, item in enumerate(thing)))
        elif isinstance(thing, np.ndarray):
            if thing.dtype != object and self._afford(thing.nbytes):
                self.cells.append(_Array(kind, name, thing))
        elif not self._random(name, thing) and not self._code(kind, name, thing):
            self._object(kind, name, thing)

    def _follow(self, kind: str, items: Iterator[tuple[str, Any]]) -> None:
        self._todo.extend((kind, name, value) for name, value in items)

    def _afford(self, size: int) -> bool:
        self._left -= size
        return self._left >= 0

    def _tensor(self, kind: str, name: str, tensor: torch.Tensor) -> None:
        if nn.parameter.is_lazy(tensor) or tensor.layout != torch.strided or tensor.is_meta:
            return
        self.storages.setdefault(storage(tensor), (kind, name))
        registered = kind in {"parameter", "buffer", "input"}
        copy = registered or self._afford(tensor.numel() * tensor.element_size())
        self.cells.append(_Tensor(kind, name, tensor, copy))

    def _module(self, kind: str, path: str, module: nn.Module) -> None:
        names = vars(module)
        self.cells.append(_Names(kind, path, names, None))
        self._todo.append(("class", type(module).__name__, type(module)))
        for name, value in names.items():
            if name in KINDS and isinstance(value, dict):
                self.cells.append(_Names(KINDS[name], path, value, None))
                self._follow(
                    "attribute" if name == "_modules" else KINDS[name],
                    ((joined(path, key), item) for key, item in value.items()),
                )
            else:
                self._todo.append((kind, joined(path, name), value))

    def _random(self, name: str, thing: Any) -> bool:
        """A random generator of one of three kinds."""
        if isinstance(thing, torch.Generator):
            cell = _State("random", name, thing.get_state, thing.set_state)
        elif isinstance(thing, random.Random):
            cell = _State("random", name, thing.getstate, thing.setstate)
        elif isinstance(thing, np.random.RandomState):
            cell = _State("random", name, thing.get_state, thing.set_state)
        elif isinstance(thing, np.random.Generator):
            bits = thing.bit_generator
            cell = _State("random", name, lambda: bits.state, lambda s: setattr(bits, "state", s))
        else:
            return False
        self.cells.append(cell)
        return True

    def _code(self, kind: str, name: str, thing: Any) -> bool:
        """Functions, methods, classes and what wraps them."""
        if isinstance(thing, types.FunctionType):
            if _users(thing):
                self._function(thing)
        elif isinstance(thing, types.MethodType):
            self._todo += [(kind, name, thing.__func__), (kind, name, thing.__self__)]
        elif isinstance(thing, (staticmethod, classmethod)):
            self._todo.append((kind, name, thing.__func__))
        elif isinstance(thing, property):
            self._todo += [(kind, name, function) for function in (thing.fget, thing.fset)]
        elif isinstance(thing, functools.partial):
            self._todo += [(kind, name, part) for part in (thing.func, thing.args, thing.keywords)]
        elif isinstance(thing, type):
            if _users(thing):
                self._class(thing)
        else:
            return isinstance(thing, (types.ModuleType, types.BuiltinFunctionType))
        return True

    def _class(self, cls: type) -> None:
        self.cells.append(_Attributes("class", cls.__name__, cls, list))
        for name, value in vars(cls).items():
            if not name.startswith("__") or isinstance(value, types.FunctionType):
                self._todo.append(("class", f"{cls.__name__}.{name}", value))
        self._follow("class", ((base.__name__, base) for base in cls.__bases__))

    def _function(self, function: types.FunctionType) -> None:
        self._todo.append(("default", function.__name__, function.__defaults__))
        self._todo.append(("default", function.__name__, function.__kwdefaults__))
        free = function.__code__.co_freevars
        for name, cell in zip(free, function.__closure__ or (), strict=False):
            if name == "__class__":
                continue
            self.cells.append(_closure(name, cell))
            self._todo.append(("closure", name, _contents(cell)))
        self._globals(function.__globals__, names_in(function.__code__), "")

    def _globals(self, holder: dict[str, Any], names: frozenset[str], prefix: str) -> None:
        """The globals of a file, or of a module that it imports, that code names."""
        fresh = {n for n in names if n in holder and (id(holder), n) not in self._named}
        # A name that is not there yet may be made: `global count; count = 1`.
        fresh |= {n for n in names if n not in holder and not prefix}
        if not fresh:
            return
        self._named |= {(id(holder), name) for name in fresh}
        self.cells.append(_Names("global", prefix, holder, frozenset(fresh)))
        for name in fresh & holder.keys():
            value = holder[name]
            if isinstance(value, types.ModuleType):
                if value.__name__.split(".")[0] not in LIBRARIES:
                    self._globals(vars(value), names, value.__name__)
            else:
                self._todo.append(("global", joined(prefix, name), value))

    def _object(self, kind: str, name: str, thing: Any) -> None:
        """An object of a class of the user's: its attributes."""
        cls = type(thing)
        if not _users(cls):
            return
        if isinstance(getattr(thing, "__dict__", None), dict):
            self._todo.append((kind, name, vars(thing)))
        slots = [s for base in cls.__mro__ for s in _listed(getattr(base, "__slots__", ()))]
        if slots:

            def filled() -> list[str]:
                return [slot for slot in slots if hasattr(thing, slot)]

            self.cells.append(_Attributes(kind, name, thing, filled))
            self._follow(kind, ((joined(name, slot), getattr(thing, slot)) for slot in filled()))
        self._todo.append(("class", cls.__name__, cls))


# --- Helpers --------------------------------------------------------------------------------------


def _generators() -> list[tuple[str, str, Any]]:
    """The random generators that all code shares, but torch's."""
    shared = np.random.mtrand._rand
    return [("random", "numpy.random", shared), ("random", "random", random._inst)]


def joined(prefix: str, key: Any) -> str:
    """An attribute's or item's name in its holder."""
    text = str(key)[:40] if isinstance(key, str) else f"[{key!r:.40}]"
    return f"{prefix}.{text}".strip(".").replace(".[", "[")


def same(a: Any, b: Any) -> bool:
    """Whether two values are one object, or equal ones that cannot change."""
    if a is b or type(a) is not type(b):
        return a is b
    if isinstance(a, PLAIN):
        return bool(a == b) or repr(a) == repr(b)  # NaN is like NaN
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):  # of a random generator's state
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return bool(a.shape == b.shape) and a.tobytes() == b.tobytes()
    return bool(isinstance(a, torch.Tensor) and a.dtype == torch.uint8 and _equal(a, b))


def storage(tensor: torch.Tensor) -> int:
    """What tells the memory of a tensor, which its views share."""
    return int(tensor.untyped_storage()._cdata)


def names_in(code: types.CodeType) -> frozenset[str]:
    """The globals and attributes that ``code``, and functions within it, name."""
    inner = (names_in(c) for c in code.co_consts if isinstance(c, types.CodeType))
    return frozenset(code.co_names).union(*inner)


def _users(thing: Any) -> bool:
    return (getattr(thing, "__module__", "") or "").split(".")[0] not in LIBRARIES


def _listed(slots: Any) -> list[str]:
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name not in {"__dict__", "__weakref__"}]


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return MISSING


def _closure(name: str, cell: types.CellType) -> _State:
    def put(value: Any) -> None:
        cell.cell_contents = value

    return _State("closure", name, lambda: _contents(cell), put)


def _gradient(tensor: torch.Tensor) -> torch.Tensor | None:
    return tensor.grad if tensor.is_leaf else None


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors of one shape and type hold the same, NaN like NaN."""
    if torch.equal(a, b):
        return True
    return a.is_floating_point() and bool(((a == b) | (a.isnan() & b.isnan())).all())
