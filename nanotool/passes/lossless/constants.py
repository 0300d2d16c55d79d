"""What does not depend on the input is computed once, here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nanotool.graphs import frozen, unused
from nanotool.intervals import ranges
from nanotool.ir import Int8Array, Op, QGraph, QTensor
from nanotool.ops import facts
from nanotool.passes.lossless.rewrite import answers_input, rebuilt
from nanotool.simulate import run_op


def fold_constants(graph: QGraph) -> QGraph:
    """``graph`` without ops whose inputs are all constants: their results are constants.

    Outputs and next states stay the work of ops.
    """
    results = set(graph.results)
    constants = dict(graph.constants)
    ops = []
    for op in graph.ops:
        known = [constants[name] for name in op.inputs if name in constants]
        is_int8 = graph.tensors[op.name].dtype == "int8"
        if len(known) < len(op.inputs) or op.name in results or op.more or not is_int8:
            ops.append(op)
            continue
        result: Int8Array = run_op(graph, op, *(data[None] for data in known))[0]
        constants[op.name] = frozen(result)
    if len(ops) == len(graph.ops):
        return graph
    return rebuilt(graph, ops, constants=constants)


def _joins(op: Op) -> bool:
    """Whether ``op`` is a function of two elements."""
    what = facts(op)
    return what.elementwise and not what.is_table


def constant_operands(graph: QGraph) -> QGraph:
    """``graph`` in which element-wise ops read a constant where an operand has but one value a
    channel, whatever the input; what computed it is then dead."""
    found = ranges(graph)
    constants, tensors = dict(graph.constants), dict[str, QTensor]()
    replaced: dict[str, str] = {}  # operand -> constant
    ops = []
    for op in graph.ops:
        inputs = op.inputs
        for position, name in enumerate(op.inputs if _joins(op.op) else ()):
            other = op.inputs[1 - position]
            fixed = name not in graph.constants and found[name].constant.all()
            shape = graph.tensors[op.name].shape
            whole = len(shape) > 0 and graph.tensors[other].shape == shape
            if not (fixed and whole and other not in constants and inputs == op.inputs):
                continue
            if name not in replaced:
                values = frozen(found[name].low.astype(np.int8))
                replaced[name] = unused(f"{name}/constant", {*graph.tensors, *tensors})
                constants[replaced[name]] = values
                tensors[replaced[name]] = replace(
                    graph.tensors[name], name=replaced[name], shape=values.shape
                )
            inputs = tuple(replaced[name] if i == position else n for i, n in enumerate(inputs))
        ops.append(replace(op, inputs=inputs))
    if not replaced:
        return graph
    result = rebuilt(graph, ops, constants=constants, tensors=tensors.values())
    return result if answers_input(result) else graph
