"""QGraph -> Lowered: each operator becomes the call of one kernel, with its params struct filled.

One small function an operator, found through a registry, in a module a family. Here the input's
zero point is folded into the bias, reshapes vanish into aliases, unary functions become tables,
what depends on constants only becomes one and arrays of the same content are one, too. The graph is
validated, and then checked against what the kernels' parameters can hold: a model that lowers
cannot fail on a device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nanotool.errors import InvalidModel
from nanotool.identifiers import layer_symbols
from nanotool.ir import Lowered, LoweredOp, QGraph, QTensor
from nanotool.lower import (  # noqa: F401  (register)
    armv7em,
    armv81m,
    axis,
    custom,
    elementwise,
    int16,
    linear,
    mac16,
    move,
    pie,
    pooling,
    recurrent,
    scalar,
)
from nanotool.lower.choose import Point, curve, knee
from nanotool.lower.deduplicate import deduplicated
from nanotool.lower.fuse import Group, Unit, groups_of
from nanotool.lower.layer import ARRAY_ENDINGS, UINT16_MAX, Call, TargetLayer, lowers, lowers_int16
from nanotool.lower.states import place_states
from nanotool.ops import facts, layer_of, macs
from nanotool.simulate import run_layer
from nanotool.targets import check_goal, find_target
from nanotool.validate import validate

lowers.complete()
lowers_int16.complete()

__all__ = [
    "ABI",
    "ARRAY_ENDINGS",
    "MODEL_SYMBOLS",
    "Choice",
    "assemble",
    "choices",
    "groups_for",
    "layer_names",
    "lower",
]

ABI = 2  # the NANO_ABI whose structs are filled here

# The names behind NAME_ that the model itself needs.
MODEL_SYMBOLS = (
    *("model", "ops", "op_names", "arena_size", "input_size", "output_size"),
    *("inputs", "outputs", "states", "state_size", "saved_state_size", "input_count"),
    *("output_count", "state_count"),
    *("golden", "golden_count", "golden_input", "golden_output", "golden_input_crc"),
    *("golden_output_crc", "h", "weights", "weights_h", "golden_h"),
)


def lower(graph: QGraph, target: str = "portable", optimize: str = "balanced") -> Lowered:
    """Make ``graph`` ready for ``target``, a key of `nanotool.targets.TARGETS`.

    ``optimize`` is one of `nanotool.targets.GOALS`: "speed" and "size" are every layer's, and
    "balanced" is the knee of the curve (`nanotool.lower.choose`). Raises InvalidModel with the
    layer's name where the graph contradicts itself or exceeds what a kernel's parameters can hold,
    UnsupportedOp for an operator that has no kernel.
    """
    check_goal(optimize)
    groups = groups_for(graph, target)
    if optimize == "balanced":
        return assemble(graph, target, optimize, knee(curve(graph, groups)).units)
    units = (unit for group in groups for unit in group.way(optimize))
    return assemble(graph, target, optimize, tuple(units))


def choices(graph: QGraph, target: str, optimize: str) -> tuple[Choice, ...]:
    """What `lower` may choose from between the most memory and the least, the fastest one first;
    each becomes a `Lowered` that bears ``optimize``."""
    points = curve(graph, groups_for(graph, target))

    def lowering(point: Point) -> Callable[[], Lowered]:
        return lambda: assemble(graph, target, optimize, point.units)

    best = knee(points)
    return tuple(Choice(point.need, point.cost, lowering(point), point is best) for point in points)


@dataclass(frozen=True, slots=True)
class Choice:
    """A way for every layer."""

    need: int  # bytes; no plan's arena can be smaller
    cost: int  # instructions, about
    lowered: Callable[[], Lowered]
    knee: bool  # what "balanced" takes


def groups_for(graph: QGraph, target: str) -> tuple[Group, ...]:
    """The layers of ``graph``, which is valid."""
    find_target(target)
    validate(graph)
    for what, tensors in (("input", graph.input_tensors), ("output", graph.output_tensors)):
        for tensor in tensors:
            _check_border(tensor, what)
    for state in graph.states:
        _check_border(graph.tensors[state.read], "state")
    return tuple(groups_of(_layers(graph, target), graph.results))


def assemble(graph: QGraph, target: str, optimize: str, units: Sequence[Unit]) -> Lowered:
    """What `lower` makes of ``graph`` where ``units`` compute its layers."""
    buffer_of = {name: name for name in graph.sources}  # tensor -> buffer
    buffers = {name: graph.tensors[name].nbytes for name in graph.sources}
    ops: list[LoweredOp] = []
    for unit in units:
        layers, calls = unit.layers, unit.calls
        last = layers[-1]
        if not calls:
            buffer_of[last.name] = buffer_of[last.qop.inputs[0]]
            continue
        ops += _lowered_ops(layers, calls, buffer_of)
        for name in written_by(layers):
            buffer_of[name] = name
            buffers[name] = graph.tensors[name].nbytes
    for name in graph.results:
        if name not in buffer_of:
            what = "output" if name in graph.outputs else "next state"
            hint = "It does not depend on the input, so there is nothing to run."
            raise InvalidModel(f"The {what} {name} is a constant.", hint)
    placed = place_states(
        ops,
        buffers,
        [(state, buffer_of[state.next]) for state in graph.states],
        [buffer_of[name] for name in graph.outputs],
    )
    if len(placed.ops) > UINT16_MAX:
        raise InvalidModel(f"{len(placed.ops)} layers are too many.", f"At most {UINT16_MAX} fit.")
    return Lowered(
        graph=graph,
        target=target,
        ops=deduplicated(placed.ops),
        buffers=MappingProxyType(placed.buffers),
        inputs=graph.inputs,
        outputs=placed.outputs,
        optimize=optimize,
        states=tuple(state.read for state in graph.states),
        views=MappingProxyType(placed.views),
    )


def _symbols(graph: QGraph) -> dict[str, tuple[str, ...]]:
    """What begins the C symbols of each op's arrays, a text for each of its calls: a concat has one
    an input. The last one is made of the op's name alone, as far as that is free."""
    names, firsts = [op.name for op in graph.ops], _first_calls(graph)
    symbols = iter(layer_symbols([*names, *firsts], ARRAY_ENDINGS, MODEL_SYMBOLS))
    last = {name: next(symbols) for name in names}
    first: dict[str, tuple[str, ...]] = {}
    for name in firsts:
        first[name] = (*first.get(name, ()), next(symbols))
    return {name: (*first.get(name, ()), last[name]) for name in names}


def _first_calls(graph: QGraph) -> list[str]:
    """The ops that may take several calls, each named once for every call but its last one."""
    kinds = {op.name: facts(op.op) for op in graph.ops}
    counts = {
        op.name: len(op.inputs) - 1
        for op in graph.ops
        if kinds[op.name].recurrent or (kinds[op.name].moves and len(op.inputs) > 1)
    }
    return [name for name, count in counts.items() for _ in range(count)]


def layer_names(lowered: Lowered) -> list[str]:
    """The C suffix of each of ``lowered.ops``: the one that its arrays' names begin with."""
    graph = lowered.graph
    copies = [op.name for op in lowered.ops if not op.symbol]
    names = [*(op.name for op in graph.ops), *_first_calls(graph), *copies]
    symbols = layer_symbols(names, ARRAY_ENDINGS, MODEL_SYMBOLS)[len(names) - len(copies) :]
    rest = iter(symbols)
    return [op.symbol or next(rest) for op in lowered.ops]


def _layers(graph: QGraph, target: str) -> list[TargetLayer[Any]]:
    """The layers that depend on the graph's input; what the others compute is a constant."""
    constants = dict(graph.constants)
    symbols = _symbols(graph)
    layers: list[TargetLayer[Any]] = []
    for op in graph.ops:
        layer = layer_of(graph, op)
        data = tuple(constants.get(name) for name in op.inputs)
        known = [value[None] for value in data if value is not None]
        if len(known) == len(data) and not op.more:
            constants[op.name] = run_layer(layer, *known)[0]
        else:
            tensors = (layer.inputs, layer.output, data)
            layers.append(TargetLayer(op, *tensors, symbols[op.name], target, more=layer.more))
    return layers


def written_by(layers: tuple[TargetLayer[Any], ...]) -> tuple[str, ...]:
    """The tensors that are left of ``layers``, which are computed together: the last one's, and
    what any of them writes beside its output."""
    return (layers[-1].name, *(name for layer in layers for name in layer.qop.more))


def _lowered_ops(
    layers: tuple[TargetLayer[Any], ...], calls: tuple[Call, ...], buffer_of: dict[str, str]
) -> list[LoweredOp]:
    """``calls``, which compute ``layers``, with their names. Where there are several they compute
    one layer, and all but the last one are first parts of it."""
    source = tuple(layer.name for layer in layers)
    inputs = [name for layer in layers for name in layer.qop.inputs]
    lowered = []
    written = written_by(layers)
    for part, call in enumerate(calls, 1):
        last = part == len(calls)
        lowered.append(
            LoweredOp(
                name=" + ".join(source) if last else f"{source[-1]} (part {part})",
                source=source if last else (),
                kernel=call.kernel,
                params=call.params,
                inputs=tuple(buffer_of[inputs[number]] for number in call.reads),
                output=written[call.writes],
                more=tuple(written[number] for number in call.more),
                symbol=layers[-1].symbols[-1] if last else layers[0].symbols[part - 1],
                overlaps=call.overlaps,
                scratch=call.scratch,
                macs=sum(macs(layer) for layer in layers) if call.macs is None else call.macs,
                cost=call.cost or 0,
                declined=call.declined,
                saved=call.saved,
            )
        )
    return lowered


def _check_border(tensor: QTensor, which: str) -> None:
    """nano_tensor holds uint16 sizes."""
    if any(n > UINT16_MAX for n in tensor.shape):
        raise InvalidModel(
            f"The model's {which} {tensor.name} has shape {tensor.shape}.",
            f"At most {UINT16_MAX:,} elements fit along an axis: give it another axis.",
        )
