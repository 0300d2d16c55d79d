"""What an op is, in a few words for people."""

from __future__ import annotations

import re

from nanotool.ir import Conv2D, Lowered, Plan, QGraph, QOp, unclamped
from nanotool.ops.words import title, window_words, words
from nanotool.sensing.words import senses


def describe(op: QOp) -> str:
    """``op`` in a few words: "conv2d 3x3 stride 2, clamp"."""
    clamped = op.clamp not in {unclamped("int8"), unclamped("int16")}
    return (_depthwise(op) or words(op.op)) + (", clamp" if clamped else "")


def label(graph: QGraph, name: str) -> str:
    """``name`` of a tensor of ``graph`` as people are shown it: with what makes it behind it where
    the name is but a number, as those of a Sequential's layers are."""
    if not re.fullmatch(r"\d+(_\d+)?", name.rpartition(".")[2]):
        return name
    made = next((op for op in graph.ops if op.name == name), None)
    return name if made is None else f"{name} {title(made.op)}"


def proposal(graph: QGraph) -> str:
    """What the tensors of 16 bits that the automatic observer found would bring, compared with what
    it chose, and what they cost; "" where it found none, or took them."""
    chosen = next((trial for trial in graph.trials if trial.chosen), None)
    if chosen is None or chosen.int16 is not None:
        return ""
    better = [trial for trial in graph.trials if trial.int16 and trial.sqnr_db > chosen.sqnr_db]
    best = max(better, key=lambda trial: trial.sqnr_db, default=None)
    if best is None or best.int16 is None:
        return ""
    names, costs = best.int16.tensors, best.int16
    many = f"{len(names)} tensors" if len(names) > 1 else "1 tensor"
    what = f"{many} in 16 bits ({', '.join(names)})" if names else "16 bits wherever they can be"
    gains = [f"{best.sqnr_db - chosen.sqnr_db:.1f} dB"]
    points = 100 * ((best.accuracy or 0.0) - (chosen.accuracy or 0.0))
    if round(points, 1):
        gains.insert(0, f"{points:.1f} points")
    return (
        f"{what} would bring {' and '.join(gains)} on calibration data held back, and cost "
        f"{costs.flash:,} bytes of flash and {costs.arena:,} of RAM; {costs.macs:.0%} of the "
        "multiply-accumulates would be in 16 bits. Taken with --allow int16 (in Python "
        'allow=["int16"]).'
    )


def _depthwise(op: QOp) -> str:
    """A convolution with a group for each input channel; "" if it is none."""
    conv = op.op
    if not isinstance(conv, Conv2D) or op.weight is None:
        return ""
    if conv.groups == 1 or op.weight.shape[-1] > 1:
        return ""
    times = len(op.weight) // conv.groups
    text = f"depthwise conv2d {window_words(conv.window)}"
    return text + (f" times {times}" if times > 1 else "")


def summary(lowered: Lowered, plan: Plan, digest: str) -> tuple[tuple[str, str | int], ...]:
    """(name, value) pairs that tell one model from another, and how large it is: ``lowered`` in its
    ``plan``. ``digest`` is the hash of the model's graph, which may not be the simplified one."""
    graph = lowered.graph
    states = [graph.tensors[state.read] for state in graph.states]
    texts = [
        ", ".join(
            ("" if len(tensors) == 1 and tensors is not states else f"{tensor.name} ")
            + ("x".join(map(str, tensor.shape)) or "1")
            for tensor in tensors
        )
        for tensors in (graph.input_tensors, graph.output_tensors, states)
    ]
    return (
        ("name", graph.name),
        ("hash", digest),
        ("source", graph.source),
        ("input", texts[0]),
        ("output", texts[1]),
        *((("states", texts[2]),) if states else ()),
        ("samples", len(graph.samples[0]) if graph.samples else 0),
        ("macs", lowered.macs),
        ("arena_bytes", plan.arena_size),
        ("weight_bytes", lowered.weight_bytes),
        *_senses(graph).items(),
    )


def _senses(graph: QGraph) -> dict[str, str]:
    """What stream or camera are, by names; of several classes the decisions in one text."""
    told: dict[str, str] = {}
    for name, value in senses(graph):
        told[name] = f"{told[name]}; {value}" if name in told else value
    return told
