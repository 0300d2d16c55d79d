"""nn.GRU, nn.LSTM, nn.RNN and their cells: a loop over the sequence for each layer and direction,
which is one operator whatever the number of steps.

PyTorch stacks what is remembered: layers times directions, batch, units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx

from nanotool.frontends.torch.fx_nodes import Arguments, operator_name
from nanotool.frontends.torch.walk import Value, Walk, handles
from nanotool.ir import Concat, FloatArray, Gru, Lstm, Rnn, Slice
from nanotool.ops import FACTS

Gated = Lstm | Gru | Rnn

NAMES = {Lstm: "nn.LSTM", Gru: "nn.GRU", Rnn: "nn.RNN"}


def _operator(name: str, reverse: bool) -> Gated:
    if name.startswith("gru"):
        return Gru(reverse)
    if name.startswith("lstm"):
        return Lstm(reverse=reverse)
    return Rnn("relu" if "relu" in name else "tanh", reverse)


@dataclass(frozen=True)
class _Weights:
    """Of one layer in one direction, in the operator's layout."""

    weight: FloatArray  # [units, gates, features + units]
    bias: FloatArray | None  # [units, biases]


def _weights(walk: Walk, op: Gated, given: Sequence[Any]) -> _Weights:
    """From W, R and, where there are some, both biases, as PyTorch has them: gates one behind the
    other. The same parameters give the same arrays."""
    what = FACTS[type(op)]
    w, r = (walk.constant(one, "weight") for one in given[:2])
    assert w is not None
    assert r is not None
    if r.shape[0] != what.gates * r.shape[1]:
        walk.refuse(
            f"an {NAMES[type(op)]} with a projection (proj_size)",
            "Leave proj_size out, and put an nn.Linear behind it.",
        )
    found = walk.gates.get(tuple(given))
    if found is None:
        both = np.concatenate([w, r], axis=1)
        weight = both.reshape(what.gates, -1, both.shape[1]).transpose(1, 0, 2)
        found = _Weights(_fixed(weight), _biases(walk, op, given[2:]))
        walk.gates[tuple(given)] = found
    assert isinstance(found, _Weights)
    return found


def _biases(walk: Walk, op: Gated, given: Sequence[Any]) -> FloatArray | None:
    """[units, biases]: sums of both, but for the one of h within a GRU's n."""
    gates = FACTS[type(op)].gates
    values = [walk.constant(one, "bias") for one in given]
    rows = [one.reshape(gates, -1) for one in values if one is not None]
    if len(rows) < 2:
        return None
    of_x, of_h = rows
    total = of_x + of_h
    if FACTS[type(op)].biases > gates:
        total = np.concatenate([total[:2], of_x[2:], of_h[2:]])
    return _fixed(total.T)


def _fixed(array: Any) -> FloatArray:
    result: FloatArray = np.ascontiguousarray(array, np.float32)
    result.setflags(write=False)
    return result


# --- Layers ---------------------------------------------------------------------------------------


@handles("gru", makes=Gru, anywhere=True)
@handles("lstm", makes=Lstm, anywhere=True)
@handles("rnn_relu", "rnn_tanh", makes=Rnn, anywhere=True)
def _layers(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    """Sequence, last h of every layer and direction, and of an LSTM the last c."""
    kind = _operator(operator_name(node), reverse=False)
    name = NAMES[type(kind)]
    if "batch_sizes" in args:
        walk.refuse(f"{name} on a packed sequence", "Give it windows of one length.")
    if args.get("train") and args.get("dropout"):
        walk.refuse("dropout that is on in eval mode", "Call model.eval() on all of it.")
    place, given = (0 if args["batch_first"] else 1), args["input"].meta["val"]
    if given.ndim != 3 or str(given.shape[place]) != str(walk.batch):
        walk.refuse(
            f"{name} over the batch, its batch_first being {bool(args['batch_first'])},",
            f"Say {name}(..., batch_first=True) for N x T x features.",
        )
    sizes = (int(given.shape[1 - place]), int(given.shape[2]))
    source = walk.reshaped(walk.source(args["input"]), sizes, suffix="steps")
    count, ways = int(args["num_layers"]), 2 if args["bidirectional"] else 1
    size = 4 if args["has_biases"] else 2
    first = _first(walk, args["hx"], count * ways)
    params = args["params"]
    if len(params) != count * ways * size:
        walk.refuse(
            f"an {name} with a projection (proj_size)",
            "Leave proj_size out, and put an nn.Linear behind it.",
        )
    lasts: list[list[str]] = [[] for _ in range(len(first) + 1)]
    for layer in range(count):
        sequences = []
        for way in range(ways):
            at = layer * ways + way
            op = _operator(operator_name(node), reverse=way == 1)
            given = params[size * at : size * (at + 1)]
            states = [state[at] for state in first]
            suffix = "" if count * ways == 1 else f"l{layer}" + "_reverse" * way
            sequence = _loop(walk, op, _weights(walk, op, given), source, states, suffix)
            sequences.append(sequence)
            lasts[0].append(sequence)
        source = sequences[0]
        if ways == 2:
            shape = walk.shapes[source]
            joined = (shape[0], 2 * shape[1])
            source = walk.emit(Concat(1), tuple(sequences), joined, suffix=f"l{layer}_both")
    used = {user.args[1] for user in node.users if user.users}
    results: list[Value] = [source]
    wide = walk.memory and len(first) == FACTS[type(kind)].more
    row = _beside if wide else _last  # a GRU's state is as wide as the layer keeps it
    results.append(_stacked(walk, [row(walk, one) for one in lasts[0]]) if 1 in used else None)
    if len(first) == 2:
        cells = [_beside(walk, one) for one in lasts[0]] if 2 in used else []
        results.append(_stacked(walk, cells) if cells else None)
    if not walk.whole:
        return results
    pairs = zip(results, node.meta["val"], strict=True)
    return [
        walk.reshaped(one, tuple(int(n) for n in value.shape)) if isinstance(one, str) else None
        for one, value in pairs
    ]


def _loop(  # noqa: PLR0917  (what a loop is)
    walk: Walk, op: Gated, weights: _Weights, source: str, states: Sequence[str], suffix: str
) -> str:
    """One layer in one direction: h after each step."""
    shape = (walk.shapes[source][0], len(weights.weight))
    inputs = (source, *states)
    return walk.emit(
        op,
        inputs,
        shape,
        weight=weights.weight,
        bias=weights.bias,
        suffix=suffix,
        more=FACTS[type(op)].more,
    )


def _first(walk: Walk, given: Any, count: int) -> list[list[str]]:
    """What is remembered before the first step, [units] for each of ``count`` layers and
    directions: h, and of an LSTM c."""
    return [
        [_row(walk, one, at, count) for at in range(count)]
        for one in (given if isinstance(given, (list, tuple)) else [given])
    ]


def _row(walk: Walk, given: Any, at: int, count: int) -> str:
    if walk.is_activation(given):
        source = walk.source(given)
        units = walk.shapes[source][-1]
        if count > 1:
            source = walk.reshaped(source, (count, units), suffix="first")
            row = walk.emit(Slice((at, 0), (1, 1)), (source,), (1, units), suffix=f"first_{at}")
            return walk.reshaped(row, (units,), suffix=f"first_{at}")
        return walk.reshaped(source, (units,), suffix="first")
    value = walk.values.get(given) if isinstance(given, fx.Node) else given
    if not isinstance(value, torch.Tensor):
        walk.refuse("an initial state that is no tensor", "Give none, or a tensor.")
    array = value.detach().to("cpu", torch.float32).numpy()
    one = array[at] if array.ndim == 3 else array
    if not (one == one[:1]).all():
        walk.refuse("an initial state that is another for each sample", "Give the same to all.")
    return walk.add_constant(one[0], f"first_{at}")


def _last(walk: Walk, sequence: str) -> str:
    """h behind the last step, [1, units]."""
    node = next(one for one in walk.nodes if one.name == sequence)
    steps, units = node.shape
    if steps == 1:
        return sequence
    assert isinstance(node.op, Gated)
    row = 0 if node.op.reverse else steps - 1
    return walk.emit(Slice((row, 0), (1, 1)), (sequence,), (1, units), suffix="last")


def _beside(walk: Walk, sequence: str) -> str:
    """c behind the last step, [1, units]."""
    node = next(one for one in walk.nodes if one.name == sequence)
    return walk.reshaped(node.more[0], (1, node.shape[1]), suffix="cell")


def _stacked(walk: Walk, rows: list[str]) -> str:
    """[layers · directions, units]."""
    if len(rows) == 1:
        return rows[0]
    return walk.emit(Concat(0), tuple(rows), (len(rows), walk.shapes[rows[0]][1]), suffix="stacked")


# --- Cells ----------------------------------------------------------------------------------------


@handles("gru_cell", makes=Gru)
@handles("lstm_cell", makes=Lstm)
@handles("rnn_relu_cell", "rnn_tanh_cell", makes=Rnn)
def _cell(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    """One step. Steps of one module that follow each other become a loop again
    (`nanotool.passes.roll`)."""
    op = _operator(operator_name(node), reverse=False)
    source = walk.source(args["input"])
    given = [args[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
    weights = _weights(walk, op, given[: 4 if given[2] is not None else 2])
    states = [
        _row(walk, one, 0, 1)
        for one in (args["hx"] if isinstance(args["hx"], (list, tuple)) else [args["hx"]])
    ]
    row = walk.reshaped(source, (1, *walk.shapes[source]), suffix="step")
    h = _loop(walk, op, weights, row, states, "")
    flat = walk.reshaped(h, walk.shapes[h][1:], suffix="h")
    beside = [*next(one for one in walk.nodes if one.name == h).more]
    if len(states) == 2:
        return [flat, *beside]
    return beside[0] if walk.memory and beside else flat
