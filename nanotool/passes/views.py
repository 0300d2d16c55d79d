"""How a tensor of the user's lies in the device's memory, so that reshapes and transposes cost
nothing until an operator needs another order.

An axis is a product of atoms, row-major: C, H, W has three of them, and flattened one axis of the
three. A `View` says for each of the user's axes, and for each of the device's, which atoms it is
made of. A reshape or transpose regroups the user's side only; the device's side changes where an
operator asks for an order (`nanotool.passes.layout`). Axes of one element have no atoms.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TypeAlias

from nanotool.ir import Shape


@dataclass(frozen=True, eq=False)
class Atom:
    """One factor of an axis, of two elements or more. Atoms are told apart by identity."""

    size: int


Axis: TypeAlias = tuple[Atom, ...]
Axes: TypeAlias = tuple[Axis, ...]


def size_of(axis: Iterable[Atom]) -> int:
    """Elements along ``axis``."""
    return math.prod(atom.size for atom in axis)


def shape_of(axes: Iterable[Axis]) -> Shape:
    """The sizes of all axes."""
    return tuple(size_of(axis) for axis in axes)


def flat(axes: Iterable[Axis]) -> Axis:
    """All atoms, row-major."""
    return tuple(atom for axis in axes for atom in axis)


def fresh(size: int) -> Axis:
    """An axis of its own."""
    return (Atom(size),) if size > 1 else ()


def fresh_axes(shape: Shape) -> Axes:
    """An axis each."""
    return tuple(fresh(size) for size in shape)


@dataclass(frozen=True)
class View:
    """A user's tensor and where it lies."""

    tensor: str  # the device's tensor
    dims: Axes  # its axes
    axes: Axes  # the user's axes
    label: str = ""  # the user's name for the last reshape or transpose

    @property
    def shape(self) -> Shape:
        """The user's shape."""
        return shape_of(self.axes)

    def substituted(self, parts: Mapping[Atom, Axis]) -> View:
        """With atoms replaced by parts of theirs."""

        def cut(axis: Axis) -> Axis:
            return tuple(part for atom in axis for part in parts.get(atom, (atom,)))

        dims, axes = (tuple(cut(axis) for axis in side) for side in (self.dims, self.axes))
        return replace(self, dims=dims, axes=axes)

    def reshaped(self, shape: Shape) -> View | None:
        """Another shape for the user's elements in their order; None if the new axes' borders lie
        within atoms."""
        borders = {math.prod(shape[i:]) for i in range(len(shape) + 1)}
        cut = self.cut_at(borders)
        if cut is None:
            return None
        atoms, axes = list(flat(cut.axes)), []
        for size in shape:
            taken: list[Atom] = []
            while size_of(taken) < size:
                taken.append(atoms.pop(0))
            axes.append(tuple(taken))
        return replace(cut, axes=tuple(axes))

    def cut_at(self, borders: Iterable[int]) -> View | None:
        """With atoms split so that each of ``borders``, a number of elements from the end, falls
        between two of them; None where that cannot be."""
        parts: dict[Atom, Axis] = {}
        inner = 1  # elements behind the atom
        for atom in reversed(flat(self.axes)):
            outer = inner * atom.size
            inside = sorted({border for border in borders if inner < border < outer})
            steps = [inner, *inside, outer]
            if any(high % low for low, high in pairwise(steps)):
                return None
            if inside:
                sizes = (high // low for low, high in pairwise(steps))
                parts[atom] = tuple(reversed([Atom(size) for size in sizes]))
            inner = outer
        return self.substituted(parts)

    def cut_axis(self, axis: int, borders: Iterable[int]) -> View | None:
        """`cut_at` for the borders within one axis, counted from that axis' end."""
        behind = math.prod(self.shape[axis + 1 :])
        return self.cut_at({behind * border for border in borders})

    def borders(self, axis: int) -> set[int]:
        """Where atoms of an axis meet: elements from the axis' end."""
        sizes = (atom.size for atom in reversed(self.axes[axis]))
        return set(accumulate(sizes, operator.mul, initial=1))


def common(views: Sequence[View]) -> list[View] | None:
    """The views, all of as many axes, with atoms split so that axes of the same size are made of
    atoms of the same sizes; None where that cannot be."""
    result = list(views)
    for axis in range(len(views[0].axes)):
        for size in {view.shape[axis] for view in views}:
            same = [i for i, view in enumerate(views) if view.shape[axis] == size]
            borders = set().union(*(result[i].borders(axis) for i in same))
            for i in same:
                cut = result[i].cut_axis(axis, borders)
                if cut is None:
                    return None
                result[i] = cut
    return result


def runs(source: Axis, target: Axis) -> list[Axis]:
    """The longest pieces of ``source`` that stay together in ``target``, in the source's order."""
    place = {atom: i for i, atom in enumerate(target)}
    result: list[list[Atom]] = []
    for atom in source:
        if result and place[atom] == place[result[-1][-1]] + 1:
            result[-1].append(atom)
        else:
            result.append([atom])
    return [tuple(run) for run in result]
