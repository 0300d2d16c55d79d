"""Post-training quantization to TensorFlow Lite's int8 scheme.

    activations  int8 per tensor: real = scale (q - zero_point); the range always holds 0, which is
                 exact
    weights      int8 in [-127, 127], one scale an output channel, zero point 0
    biases       int32 at scale(in) * scale(weights)

Scales are chosen so that no accumulator can leave int32, and that every requantization is a
multiplication by less than 1/2.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.errors import InvalidModel, NanoError, NanoWarning
from nanotool.identifiers import model_identifier
from nanotool.inputs import to_device
from nanotool.ir import (
    INT4_MAX,
    INT8_MAX,
    UNCLAMPED,
    Function,
    Graph,
    Int8Array,
    Node,
    Op,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Reshape,
    State,
    Table,
    Unary,
    unclamped,
)
from nanotool.ops import OPERATORS, Registry, facts, float_layer_of
from nanotool.ops.shape import argument_scale
from nanotool.passes.rewrite import names, unique
from nanotool.progress import Progress
from nanotool.quantization.calibrate import (
    Batches,
    Range,
    Steps,
    as_batches,
    calibrate,
    passes_needed,
)
from nanotool.quantization.evaluate import Batch, ends, real_numbers
from nanotool.quantization.finest import finest_input, finest_output
from nanotool.quantization.quality import measure
from nanotool.quantization.ranges import activation, symmetric, useful_ranges, wide
from nanotool.quantization.sharing import Group, Sharing, share, widen
from nanotool.quantization.weights import (
    farthest_argument,
    gate_weights,
    matrix,
    natural_scales,
    quantized_bias,
    quantized_weights,
    weight_scales,
)
from nanotool.validate import validate

log = logging.getLogger(__name__)

AUTO = "auto"  # the observer that chooses among others
CHOICES = ("int16",)  # what it takes only where it is allowed
MOST_ARGUMENT = 2.0**30  # of a gate, in its units: sums that become it are within int32
SAMPLES = 8  # calibration inputs kept in the QGraph
QUALITY_INPUTS = 1024  # calibration inputs over which the quality is measured, at most
# Below it TensorFlow Lite's table, in float32, cannot tell exp(x) from 1. The family with a factor
# has a table of its own; this one is 1 for every int8.
ELU_SCALE_MIN, ALMOST_1 = 2.0**-18, 1 + 2.0**-23
# From it on TensorFlow Lite's sigmoid and tanh saturate where they should not: from 8 on at 0.
SATURATING, SATURATING_SCALE = (Unary("sigmoid"), Unary("tanh")), 4.0

UNIT = QTensor("unit", (), *numerics.UNIT_OUTPUT, "int16")  # of a sigmoid, tanh or softmax
COARSER = 2.0 ** (numerics.ADD_LEFT_SHIFT - numerics.WIDE_ADD_BITS)  # a sum's least scale in int16

_T = TypeVar("_T", bound=np.generic)


def quantize(
    graph: Graph,
    calibration: Iterable[Batch],
    *,
    reset_every: int = 0,
    observer: str = "minmax",
    given: Mapping[str, Range] | None = None,
    classes: NDArray[np.int64] | None = None,
    labels: Iterable[str] = (),
    source: str = "torch",
    progress: Progress | None = None,
    int16: Collection[str] | None = (),
    allow: Collection[str] = (),
    int4: Collection[str] | None = (),
) -> QGraph:
    """The int8 graph of a canonical float ``graph``, with quality and samples.

    ``calibration`` yields batches N x input shape in the user's layout (C, H, W), as the model gets
    them in use: an array, or of several inputs a tuple of one each. A sequence is read several
    times, piece by piece; another iterable is first read into memory. Of a graph with states a
    batch is consecutive steps from a reset, with another one before every ``reset_every``-th.
    ``observer``: "minmax", "percentile", "mse", or "auto", which tries several ways and keeps the
    one whose output is best on calibration data held back, with ``classes``, one right answer an
    input, also by its accuracy; with states it is "minmax". ``given``: every tensor's range, as
    training found it: nothing is then observed. ``labels`` names the output's classes, ``source``
    says where the model came from.
    ``progress(done, total)`` is called after every batch of every pass. ``int16``: tensors whose
    activations are to have 16 bits, None: all that can; `sharing.widen` says what that takes. No
    ranges are tried then: "auto" is "minmax". ``allow``: of CHOICES, what "auto" may take.
    ``int4``: layers whose weights are to have 4 bits, None: all convolutions and dense layers.

    Raises NanoError for bad data, InvalidModel for values that are not finite.
    """
    batches = as_batches(calibration)
    judged = _first(graph, batches, QUALITY_INPUTS)
    made = made_of(
        graph,
        batches,
        reset_every=reset_every,
        observer=observer,
        given=given,
        classes=classes,
        progress=progress,
        int16=int16,
        allow=allow,
        int4=int4,
        passes=len(judged),
    )
    if made.doubt:
        warnings.warn(made.doubt, NanoWarning, stacklevel=2)
    result = replace(made.int8, labels=tuple(labels), source=source)
    validate(result)
    measured = _counted(judged, made.step)
    quality = measure(made.graph, result, measured, made.useful, reset_every)
    return replace(result, quality=quality, samples=_samples(graph, result, batches))


@dataclass(frozen=True)
class Made:
    """An int8 graph, and what it was made of."""

    graph: Graph  # float: the one given, or the same function with equalized channels
    int8: QGraph
    useful: Mapping[str, Range]  # by tensor, as far as its readers do not see all of it
    step: Steps  # counts passes over the data
    doubt: str = ""  # a sentence on the data


def made_of(
    graph: Graph,
    batches: Batches,
    *,
    reset_every: int = 0,
    observer: str = "minmax",
    given: Mapping[str, Range] | None = None,
    classes: NDArray[np.int64] | None = None,
    progress: Progress | None = None,
    int16: Collection[str] | None = (),
    allow: Collection[str] = (),
    int4: Collection[str] | None = (),
    passes: int = 0,
) -> Made:
    """`quantize` without quality and samples; ``passes``: that the caller will count."""
    if not graph.channels_last:
        raise NanoError(
            f"{graph.name} is not in canonical form.",
            "Call nanotool.passes.canonicalize(graph) first.",
        )
    _check_allowed(allow, observer)
    widened = int16 is None or bool(int16)
    tries = not (graph.states or graph.scales or widened)
    chooses = observer == AUTO and given is None and tries
    automatic = _chooser(graph, batches) if chooses else None
    observer = "minmax" if observer == AUTO else observer
    passes += len(batches) * passes_needed(observer) if given is None else 0
    step = Steps(progress, passes + (0 if automatic is None else automatic.TICKS))
    ranges = calibrate(graph, batches, observer, step, reset_every) if given is None else given
    useful = useful_ranges(graph, ranges)

    def built(
        of: Graph, ranges: Mapping[str, Range], headroom: bool, int16: Collection[str] | None
    ) -> QGraph:
        return build(of, ranges, useful, headroom=headroom, int16=int16, int4=int4)

    if automatic is None:
        result = built(graph, ranges, observer == "minmax" and given is None, int16)
        return Made(graph, result, useful, step)
    chosen = automatic.choose(
        graph, batches, built, ranges, classes=classes, allow=allow, tick=step
    )
    return Made(chosen.graph, chosen.int8, useful, step, chosen.doubt)


def _check_allowed(allow: Collection[str], observer: str) -> None:
    unknown = sorted(set(allow) - set(CHOICES))
    if unknown:
        raise NanoError(f"There is no {unknown[0]!r} to allow.", f"Known is: {', '.join(CHOICES)}.")
    if allow and observer != AUTO:
        raise NanoError(
            f"The observer {observer} makes no choice that could be allowed.",
            "Leave it away: auto does. Or name the tensors: int16=[...].",
        )


def build(
    graph: Graph,
    ranges: Mapping[str, Range],
    useful: Mapping[str, Range],
    *,
    headroom: bool,
    int16: Collection[str] | None = (),
    int4: Collection[str] | None = (),
) -> QGraph:
    """The int8 graph whose tensors cover ``ranges``, as far as they are ``useful``. ``headroom``:
    more than that for the output. ``int16``: tensors of 16 bits, ``int4``: layers whose
    weights have 4, see `quantize`."""
    sharing = share(graph, ranges, useful, headroom=headroom)
    if int16 is None or int16:
        widen(graph, sharing, int16)
    kinds = {node.name: facts(node.op) for node in graph.nodes}
    named = {name for name, one in kinds.items() if one.weighted and one.factor_scale is None}
    if int4 is not None and not named.issuperset(int4):
        unknown = sorted(set(int4) - named)[0]
        raise NanoError(
            f"{unknown} cannot have weights in int4: it is no convolution or dense layer.",
            f"There are: {', '.join(sorted(named)) or 'none'}.",
        )
    return _Quantizer(graph, sharing, frozenset(named if int4 is None else int4)).run()


def _chooser(graph: Graph, batches: Batches) -> ModuleType | None:
    """The automatic observer, which computes with PyTorch; None, and it is said, where it lacks
    what it needs."""
    from nanotool.quantization import auto  # noqa: PLC0415

    reason = auto.reason_against(graph, batches)
    if reason:
        log.warning("%s: ranges are chosen by min-max.", reason)
    return None if reason else auto


def _samples(graph: Graph, result: QGraph, batches: Batches) -> tuple[NDArray[Any], ...]:
    """Inputs for golden vectors, one array each; with states the first steps of a sequence."""
    first = _first(graph, batches, SAMPLES)
    if graph.states:
        first = first[:1]
    found = []
    for number in range(len(graph.inputs)):
        array = np.concatenate([batch[number] for batch in first])
        found.append(to_device(result, array, number))
        found[-1].setflags(write=False)
    return tuple(found)


def _first(graph: Graph, batches: Batches, count: int) -> list[tuple[NDArray[np.float32], ...]]:
    """The first ``count`` samples, still in batches; empty ones are left out."""
    found: list[tuple[NDArray[np.float32], ...]] = []
    for batch in batches:
        if count <= 0:
            break
        arrays = ends(graph, batch)
        if len(arrays[0]):
            found.append(tuple(real_numbers(a)[:count].astype(np.float32) for a in arrays))
            count -= len(found[-1][0])
    return found


def _counted(
    batches: list[tuple[NDArray[np.float32], ...]], step: Steps
) -> Iterable[tuple[NDArray[np.float32], ...]]:
    for batch in batches:
        yield batch
        step()


# (operator, first input, output) -> the operator in a QGraph
Int8Form: TypeAlias = Callable[[Any, QTensor, QTensor], Op]


def _itself(op: Op, _source: QTensor, _target: QTensor) -> Op:
    return op


_int8_form = Registry[Int8Form]("quantizer", default=_itself, operators=OPERATORS)


@_int8_form(Function)
def _tabled(op: Function, source: QTensor, target: QTensor) -> Table:
    return Table(op.function, unary.tabulated(op.real, source, target))


@dataclass
class _Quantizer:
    """The int8 graph as far as it is built."""

    graph: Graph
    sharing: Sharing
    int4: frozenset[str] = frozenset()  # layers
    tensors: dict[str, QTensor] = field(default_factory=dict)
    constants: dict[str, Int8Array] = field(default_factory=dict)
    ops: list[QOp] = field(default_factory=list)
    grids: dict[int, QTensor] = field(default_factory=dict)  # of a group, by its identity
    # By (tensor, type, scale, zero point).
    requantized: dict[tuple[str, str, float, int], str] = field(default_factory=dict)
    arrays: dict[tuple[str, bytes], NDArray[Any]] = field(default_factory=dict)  # by content

    def run(self) -> QGraph:
        """Quantize every node in order."""
        graph = self.graph
        self.tensors |= {name: self._tensor(name) for name in graph.sources}
        for node in graph.nodes:
            self._node(node)
        states = tuple(self._state(state) for state in graph.states)
        outputs = self._outputs()
        return QGraph(
            name=model_identifier(graph.name),
            tensors=self.tensors,
            ops=tuple(self.ops),
            inputs=graph.inputs,
            outputs=outputs,
            input_permutations=graph.input_permutations,
            constants=self.constants,
            states=states,
            output_names=graph.output_names,
        )

    # --- Borders -------------------------------------------------------------------------------

    def _state(self, state: State) -> State:
        """``state`` in integers; what it becomes is requantized where it has another scale."""
        read, following = self.tensors[state.read], self.tensors[state.next]
        initial = read.quantize(state.initial)
        if replace(following, name=read.name) == read:
            return replace(state, initial=initial)
        name = self._added(f"{state.name}.next", Quantize(), state.next, read)
        return replace(state, next=name, initial=initial)

    def _outputs(self) -> tuple[str, ...]:
        """A tensor of its own for each output, also for one that is an input, or two."""
        found: list[str] = []
        for tensor in self.graph.outputs:
            name = tensor
            if tensor in self.graph.sources or tensor in found:
                known = self.tensors[tensor]
                name = self._added(f"{tensor}.output", Reshape(known.shape), tensor, known)
            found.append(name)
        return tuple(found)

    def _added(self, wanted: str, op: Op, source: str, like: QTensor) -> str:
        """An op behind the others, whose output is ``like`` another tensor; its name."""
        taken = {*self.graph.constants, *(n.name for n in self.graph.nodes), *self.tensors}
        name = unique(wanted, taken)
        self.tensors[name] = replace(like, name=name)
        self.ops.append(QOp(name, op, (source,), clamp=unclamped(like.dtype)))
        return name

    # --- Scales and zero points ----------------------------------------------------------------

    def _tensor(self, name: str) -> QTensor:
        """The quantization of an activation: its group's."""
        grid = self._grid(self.sharing.groups[name])
        return replace(grid, name=name, shape=self.graph.shape(name))

    def _grid(self, group: Group) -> QTensor:
        """The quantization of a group. Its members' sources have theirs before, but for those in a
        group that leads back to this one."""
        if id(group) in self.grids:
            return self.grids[id(group)]
        name = group.members[0]
        if group.wide:
            grid = wide(name, (), group.bounds)
        elif group.int16:
            least = max((self._least(tensor) for tensor in group.members), default=0.0)
            unit = group.fixed is not None
            grid = UNIT if unit else symmetric(name, (), group.bounds, COARSER * least)
        elif group.fixed is not None:
            grid = QTensor(name, (), *group.fixed)
        else:
            least = max((self._least(tensor) for tensor in group.members), default=0.0)
            grid = activation(name, (), group.bounds, least)
        self.grids[id(group)] = grid
        return grid

    def _least(self, tensor: str) -> float:
        """The least scale that the node which writes ``tensor``, and its readers, can do with."""
        readers = self.graph.consumers(tensor)
        layers = (float_layer_of(self.graph, reader) for reader in readers)
        least = max((finest_input.of(layer.op)(layer) for layer in layers), default=0.0)
        if tensor in self.graph.sources:
            return least
        node = self.graph.node(tensor)
        scales = [self._scale(name) for name in node.inputs]
        return max(least, finest_output.of(node.op)(float_layer_of(self.graph, node), scales))

    def _scale(self, tensor: str) -> float:
        """Of an input of a node whose output's scale is looked for."""
        if tensor in self.graph.constants:
            return activation(tensor, (), _extremes(self.graph.constants[tensor])).scale
        group = self.sharing.groups[tensor]
        if id(group) in self.grids:
            return self.grids[id(group)].scale
        return activation(tensor, (), group.bounds).scale

    # --- Nodes ---------------------------------------------------------------------------------

    def _node(self, node: Node) -> None:
        what = facts(node.op)
        if not (what.int8 or what.rounded):
            raise InvalidModel(
                f"{node.name}: {type(node.op).__name__} has no int8 form.",
                "Call nanotool.passes.canonicalize(graph) first.",
            )
        if what.indices:
            tensor = QTensor(node.name, node.shape, 1.0, 0, "int32")
        else:
            tensor = self._tensor(node.name)
        self.tensors[node.name] = tensor
        if what.gates:
            self._gated(node, tensor)
            return
        if what.weighted:
            self._weighted(node, tensor)
            return
        op, inputs = node.op, node.inputs
        if isinstance(op, Pad) and len(inputs) == 2:
            value = tensor.quantize(self.graph.constants[inputs[1]])
            op, inputs = replace(op, value=int(value)), inputs[:1]
        if op == Unary("elu") and self.tensors[inputs[0]].scale < ELU_SCALE_MIN:
            op = Unary(unary.named("elu", ALMOST_1))
        inputs = tuple(self._input(node, name, tensor) for name in inputs)
        if op in SATURATING:
            inputs = (self._seen(inputs[0], *what.useful_input),)
        op = _int8_form.of(op)(op, self.tensors[inputs[0]], tensor)
        self.ops.append(QOp(node.name, op, inputs, clamp=quantized_clamp(node, tensor)))

    def _input(self, node: Node, name: str, output: QTensor) -> str:
        """The tensor of an input: itself, a constant, or requantized."""
        what = facts(node.op)
        wide_layer = self.sharing.is_int16(node.name)
        if name in self.graph.constants:
            like = output if what.joins_quantizations else None
            if wide_layer and like is None and not what.int8_constants:
                like = symmetric(name, (), _extremes(self.graph.constants[name]))
            return self._constant(name, like)
        is_wide = self.tensors[name].dtype == "int16"
        if (node.name, name) in self.sharing.requantized or (
            wide_layer and what.shares_quantization
        ):
            return self._requantized(name, output)
        if wide_layer and not is_wide:
            return self._requantized(name, symmetric(name, (), self._bounds(name)))
        if is_wide and not wide_layer and not (what.moves and what.types):
            return self._requantized(name, activation(name, (), self._bounds(name)))
        return name

    def _bounds(self, name: str) -> Range:
        return self.sharing.groups[name].bounds

    def _seen(self, name: str, low: float, high: float) -> str:
        """``name``, an input of a saturating function that sees ``low`` to ``high``; requantized if
        it is too coarse, which it is where somebody else needs its range."""
        if self.tensors[name].scale < SATURATING_SCALE:
            return name
        return self._requantized(name, activation(name, (), (low, high)))

    def _requantized(self, name: str, like: QTensor) -> str:
        """``name`` with the type, the scale and the zero point of ``like``."""
        key = (name, like.dtype, like.scale, like.zero_point)
        now = self.tensors[name]
        if key[1:] == (now.dtype, now.scale, now.zero_point):
            return name
        if key not in self.requantized:
            taken = self._taken()
            result = unique(f"{name}.requantized", taken)
            self.tensors[result] = replace(like, name=result, shape=now.shape)
            self.ops.append(QOp(result, Quantize(), (name,), clamp=unclamped(like.dtype)))
            self.requantized[key] = result
        return self.requantized[key]

    def _taken(self) -> set[str]:
        """Every name in use."""
        return {*names(self.graph), *self.tensors}

    def _constant(self, name: str, like: QTensor | None) -> str:
        """``name``'s data as int8, with the quantization of ``like`` or one of its own."""
        data = self.graph.constants[name]
        grid = activation(name, (), _extremes(data)) if like is None else like
        tensor = replace(grid, name=name, shape=data.shape)
        if self.tensors.get(name, tensor) != tensor:  # known with another quantization
            tensor = replace(tensor, name=unique(name, self._taken()))
        self.tensors[tensor.name] = tensor
        self.constants[tensor.name] = self._shared(grid.quantize(data))
        return tensor.name

    def _gated(self, node: Node, target: QTensor) -> None:
        """A layer with gates. Its first h is like the output, what it keeps in 16 bits like what it
        writes beside it."""
        source = self._input(node, node.inputs[0], target)
        x, rest = self.tensors[source], node.inputs[1:]
        beside = [self._tensor(name) for name in node.more]
        self.tensors.update((tensor.name, tensor) for tensor in beside)
        likes = [*[target] * (len(rest) - len(beside)), *beside]
        unit = argument_scale(node.op, target.scale)
        if farthest_argument(node, x.scale, target.scale) >= MOST_ARGUMENT * unit:
            raise InvalidModel(
                f"{node.name}: its input reaches so far, {x.scale * 255:.3g}, that the sums of its "
                "gates leave int32.",
                "Normalize the input (mean 0, standard deviation 1), and train with it.",
            )
        gates = gate_weights(node, x.scale, target.scale)
        states = (
            self._constant(name, like)
            if name in self.graph.constants
            else self._requantized(name, like)
            for name, like in zip(rest, likes, strict=True)
        )
        self.ops.append(
            QOp(
                name=node.name,
                op=node.op,
                inputs=(source, *states),
                weight=self._shared(gates.weight),
                weight_scale=self._shared(gates.scale),
                bias=self._shared(gates.bias),
                more=node.more,
            )
        )

    def _weighted(self, node: Node, target: QTensor) -> None:
        """A convolution, a dense layer, a norm."""
        assert node.weight is not None
        (name,) = (self._input(node, one, target) for one in node.inputs)
        source = self.tensors[name]
        own = facts(node.op).factor_scale
        source = source if own is None else replace(source, scale=own)
        weight = matrix(node)
        wide_sums = target.dtype == "int16"
        bias = np.zeros(len(weight)) if node.bias is None else node.bias.astype(np.float64)
        limit = INT4_MAX if node.name in self.int4 else INT8_MAX
        scale = weight_scales(natural_scales(weight, limit), bias, source.scale, target.scale)
        integers, scale = quantized_weights(
            weight, bias, scale, source.scale, wide=wide_sums, limit=limit
        )
        whole = quantized_bias(bias, scale, source.scale, wide=wide_sums)
        offset: Any = whole.astype(np.int64 if wide_sums else np.int32)
        self.ops.append(
            QOp(
                name=node.name,
                op=node.op,
                inputs=(name,),
                weight=self._shared(integers.reshape(node.weight.shape)),
                weight_scale=self._shared(scale),
                bias=None if node.bias is None else self._shared(offset),
                clamp=quantized_clamp(node, target),
            )
        )

    def _shared(self, array: NDArray[_T]) -> NDArray[_T]:
        """``array``, or the same one from before: a module that is used twice has its weights
        once."""
        array.setflags(write=False)
        key = (f"{array.dtype}{array.shape}", array.tobytes())
        return self.arrays.setdefault(key, array)


def _extremes(data: NDArray[Any]) -> Range:
    return float(data.min()), float(data.max())


def quantized_clamp(node: Node, tensor: QTensor) -> tuple[int, int]:
    """The fused clamp in units of the output."""
    if node.clamp == UNCLAMPED:
        return unclamped(tensor.dtype)
    low, high = (unary.quantized_bound(bound, tensor) for bound in node.clamp)
    return low, high
