"""What operators are, and the rooms that have a function for each."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path

import operators
import pytest

import nanotool
from bench import operator_tables
from nanotool.errors import InvalidModel
from nanotool.ir import BatchNorm, Binary, Custom, Dense, Op, Reshape, Resize, Unary
from nanotool.ops import FACTS, INT8_OPERATORS, OPERATORS, ROOMS, Reads, Registry, facts


def test_every_operator_has_facts_and_a_name_of_its_own_in_files() -> None:
    assert FACTS.keys() == set(OPERATORS)
    assert len({one.tag for one in FACTS.values()}) == len(FACTS)
    assert all(one.tag for one in FACTS.values())


def test_leaving_out_an_entry_names_the_room_and_the_operator() -> None:
    """At import; where a default or another entry takes its place, in the table of the rooms or of
    the operators, which a test of the pages compares."""
    asked = 0
    for room in operator_tables.every_room():
        room.complete()
        for key in room.handlers:
            less = copy(room)
            less.handlers = {k: h for k, h in room.handlers.items() if k != key}
            assert operator_tables.own(less) != operator_tables.own(room)
            for operator in set(room.covered()) - set(less.covered()):
                with pytest.raises(NotImplementedError, match=f"{room.room}.* {operator.__name__}"):
                    less.complete()
                asked += 1
    assert asked >= 6 * len(INT8_OPERATORS)


def test_every_operator_has_a_graph_of_its_own_for_each_targets_kernels() -> None:
    """In tests/python/operators.py; recurrent ones are drawn in random_graphs/steps.py."""
    kinds = (kind for kind in operators.OPERATORS for _ in range(4))
    graphs = (operators.operator_graph(kind, seed) for seed, kind in enumerate(kinds))
    drawn = {type(op.op) for graph in graphs for op in graph.ops}
    own = {Custom}  # of packages: test_own_operator.py
    assert drawn | own >= {one for one in INT8_OPERATORS if not FACTS[one].recurrent}


def _one() -> int:
    return 1


def _other() -> int:
    return 2


# Places that tell operators apart by their class, outside of ops, ir.py, and the functions that are
# registered for an operator. It only falls: ask `facts`, or register a function.
MOST_PLACES = 37


def places(tree: ast.AST) -> Iterator[int]:
    """The line of every isinstance and every case that names an operator, registered functions
    aside."""
    names = {operator.__name__ for operator in OPERATORS}
    if isinstance(tree, ast.FunctionDef) and any(
        isinstance(one, ast.Call)
        and any(isinstance(name, ast.Name) and name.id in names for name in one.args)
        for one in tree.decorator_list
    ):
        return
    if isinstance(tree, ast.MatchClass) and isinstance(tree.cls, ast.Name):
        yield from [tree.lineno] * (tree.cls.id in names)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        named = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name)}
        yield from [tree.lineno] * (tree.func.id == "isinstance" and not names.isdisjoint(named))
    for child in ast.iter_child_nodes(tree):
        yield from places(child)


def test_operators_are_told_apart_by_registries_and_facts() -> None:
    root = Path(nanotool.__file__).parent
    files = [path for path in root.rglob("*.py") if path.parent.name != "ops"]
    found = {
        str(path.relative_to(root)): count
        for path in files
        if path.name != "ir.py" and (count := len(list(places(ast.parse(path.read_text())))))
    }
    assert sum(found.values()) <= MOST_PLACES, found


def test_an_operator_takes_few_files() -> None:
    """docs/adding-an-operator.md counts them for CumSum."""
    root = Path(nanotool.__file__).parent
    paths = [*root.rglob("*.py"), *(root.parent / "lib" / "nano").rglob("*.[ch]")]
    paths.remove(root / "frontends" / "onnx.py")  # ONNX's name of it
    naming = [path for path in paths if re.search(r"CumSum|Cumsum|nano_cumsum", path.read_text())]
    assert len(naming) <= 13, naming


def test_a_room_has_one_function_an_operator() -> None:
    ahead = len(ROOMS)
    try:
        room = Registry[Callable[[], int]]("a test", default=_one)
        with pytest.raises(TypeError, match="BatchNorm"):
            room(BatchNorm)(_other)
        room(Dense)(_other)
        with pytest.raises(TypeError, match="Dense"):
            room(Dense)(_other)
        assert (room.of(Dense())(), room.of(Unary("relu"))()) == (2, 1)
        with pytest.raises(TypeError, match="Dense is there"):
            room.where(lambda what: what.weighted)(_other)
        room.where(lambda what: what.moves)(_other)
        assert room.of(Reshape((4,)))() == 2
        with pytest.raises(InvalidModel, match="BatchNorm has no int8 form"):
            Registry[Callable[[], int]]("another").of(BatchNorm())
        reads = Reads[Callable[[], int]]("a front end", operators=(Dense, Resize))
        reads("LINEAR", "GEMM", makes=Dense)(_one)
        with pytest.raises(TypeError, match="Unary never comes"):
            reads("RELU", makes=(Unary, Dense))
        with pytest.raises(TypeError, match="GEMM is there"):
            reads("GEMM", makes=Dense)(_other)
        with pytest.raises(NotImplementedError, match=r"a front end.* Resize"):
            reads.complete()
        assert (reads.get("GEMM"), reads.get("RELU")) == (_one, None)
    finally:
        del ROOMS[ahead:]


@pytest.mark.parametrize(
    ("op", "chooses", "joins", "scales"),
    [
        (Binary("maximum"), True, True, False),
        (Binary("add"), False, False, True),
        (Resize("nearest"), True, False, False),
        (Resize("bilinear"), False, False, False),
    ],
)
def test_what_depends_on_attributes(op: Op, chooses: bool, joins: bool, scales: bool) -> None:
    what = facts(op)
    found = (what.chooses, what.joins_quantizations, what.scales_output)
    assert found == (chooses, joins, scales)


def test_prescribed_outputs() -> None:
    assert facts(Unary("sigmoid")).prescribed_output == (1 / 256, -128)
    assert facts(Unary("exp")).prescribed_output is None
    with pytest.raises(InvalidModel, match="no unary function"):
        facts(Unary("nothing"))
