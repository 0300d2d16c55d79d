"""QGraph -> Lowered: each operator becomes the call of one kernel, with its params struct filled.

One small function an operator, found through a registry, in a module a family. Here the input's
zero point is folded into the bias, reshapes vanish into aliases and unary functions become tables.
The graph is validated, and then checked against what the kernels' parameters can hold: a model
that lowers cannot fail on a device.
"""

from __future__ import annotations

from types import MappingProxyType

from nanotool.errors import InvalidModel, NanoError, UnsupportedOp
from nanotool.identifiers import layer_symbols
from nanotool.ir import Lowered, LoweredOp, Pad, QGraph, QOp, QTensor, Reshape, Slice, Transpose
from nanotool.lower import elementwise, linear, move, rows, window  # noqa: F401  (they register)
from nanotool.lower.layer import ARRAY_ENDINGS, UINT16_MAX, Call, Layer, calls_of, lowered_operators
from nanotool.targets import GOALS, find_target
from nanotool.validate import validate

__all__ = ["ABI", "ARRAY_ENDINGS", "MODEL_SYMBOLS", "layer_names", "lower", "lowered_operators"]

ABI = 1  # the NANO_ABI whose structs are filled here

# The names behind NAME_ that the model itself needs.
MODEL_SYMBOLS = (
    *("model", "ops", "op_names", "arena_size", "input_size", "output_size"),
    *("golden", "golden_count", "golden_input", "golden_output", "golden_input_crc"),
    *("golden_output_crc", "h", "weights", "weights_h", "golden_h"),
)


def lower(graph: QGraph, target: str = "portable", optimize: str = "balanced") -> Lowered:
    """Make ``graph`` ready for ``target``, a key of `nanotool.targets.TARGETS`.

    ``optimize`` is one of `nanotool.targets.GOALS`. Raises InvalidModel with the layer's name where
    the graph contradicts itself or exceeds what a kernel's parameters can hold, UnsupportedOp for
    an operator that has no kernel.
    """
    find_target(target)
    if optimize not in GOALS:
        raise NanoError(f"There is no goal {optimize!r}.", f"Goals: {', '.join(GOALS)}.")
    validate(graph)
    _check_border(graph.input_tensor, "input")
    _check_border(graph.output_tensor, "output")
    buffer_of = {graph.input: graph.input}  # tensor -> buffer
    buffers = {graph.input: graph.input_tensor.nbytes}
    ops: list[LoweredOp] = []
    for op, symbol in zip(graph.ops, _symbols(graph), strict=True):
        layer = Layer(
            op,
            tuple(graph.tensors[name] for name in op.inputs),
            graph.tensors[op.name],
            symbol,
            tuple(graph.constants.get(name) for name in op.inputs),
        )
        if _keeps_bytes(layer) and op.inputs[0] in buffer_of:
            buffer_of[op.name] = buffer_of[op.inputs[0]]
            continue
        ops += _lowered_ops(op, calls_of(layer), buffer_of)
        buffer_of[op.name] = op.name
        buffers[op.name] = layer.output.nbytes
    if len(ops) > UINT16_MAX:
        raise InvalidModel(f"{len(ops)} layers are too many.", f"At most {UINT16_MAX} fit.")
    if graph.output not in buffer_of:
        raise InvalidModel(f"The output {graph.output} is a constant.", "Nothing is left to run.")
    return Lowered(
        graph=graph,
        target=target,
        ops=tuple(ops),
        buffers=MappingProxyType(buffers),
        input=graph.input,
        output=buffer_of[graph.output],
        optimize=optimize,
    )


def _symbols(graph: QGraph) -> list[str]:
    """What begins the C symbols of each op's arrays."""
    return layer_symbols([op.name for op in graph.ops], ARRAY_ENDINGS, MODEL_SYMBOLS)


def layer_names(lowered: Lowered) -> list[str]:
    """The C suffix of each of ``lowered.ops``: the one that its arrays' names begin with, with a
    number behind it for the first parts of an op."""
    names = [op.name for op in lowered.graph.ops]
    parts = [op.name for op in lowered.ops if not op.source]
    symbols = iter(layer_symbols([*names, *parts], ARRAY_ENDINGS, MODEL_SYMBOLS))
    by_name = {name: next(symbols) for name in names}
    return [by_name[op.output] if op.source else next(symbols) for op in lowered.ops]


def _lowered_ops(op: QOp, calls: tuple[Call, ...], buffer_of: dict[str, str]) -> list[LoweredOp]:
    """``calls`` with their names; all but the last one are first parts of ``op``."""
    lowered = []
    for part, call in enumerate(calls, 1):
        last = part == len(calls)
        for name in (op.inputs[number] for number in call.reads):
            if name not in buffer_of:
                hint = "Fold the constant into the layer: nanotool.passes does."
                raise UnsupportedOp(op.name, f"{type(op.op).__name__} of constant {name}", hint)
        lowered.append(
            LoweredOp(
                name=op.name if last else f"{op.name} (part {part})",
                source=(op.name,) if last else (),
                kernel=call.kernel,
                params=call.params,
                inputs=tuple(buffer_of[op.inputs[number]] for number in call.reads),
                output=op.name,
                overlaps=call.overlaps,
                scratch=call.scratch,
                macs=call.macs,
            )
        )
    return lowered


def _keeps_bytes(layer: Layer) -> bool:
    """Whether the output is the first input's bytes in their order: then it shares the buffer."""
    source, target = layer.input, layer.output
    match layer.op.op:
        case Reshape():
            return True
        case Transpose() as op:
            return move.transpose_keeps_order(op, source.shape)
        case Slice() | Pad():
            return source.shape == target.shape
        case _:
            return False


def _check_border(tensor: QTensor, which: str) -> None:
    """nano_tensor holds uint16 sizes."""
    if any(n > UINT16_MAX for n in tensor.shape):
        raise InvalidModel(
            f"The model's {which} {tensor.name} has shape {tensor.shape}.",
            f"At most {UINT16_MAX:,} elements fit along an axis: give it another axis.",
        )
