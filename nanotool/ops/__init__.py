"""What an operator is, stated once.

What is done with operators stays in the rooms that do it; they ask here.

    facts      per operator: arity, clamp, types, name in a file, and the traits that rooms ask for
    layer      one op with its tensors, as every room sees it; its float twin
    registry   one function an operator: what a room forgets is found when it is imported
    shape      what each operator accepts, and the shape that it yields
    moves      what operators that only move elements do to an array
    taps       which taps of a window lie over the input; multiply-accumulates
    words      an operator in words
"""

from nanotool.ops.facts import (
    FACTS,
    INT8_OPERATORS,
    INT16_OPERATORS,
    OPERATORS,
    Facts,
    facts,
    group_count,
    is_single_element,
    keeps_bytes,
    moves_nothing,
    together,
    yields_input,
)
from nanotool.ops.layer import (
    FloatLayer,
    Layer,
    OpT_co,
    float_layer_of,
    float_layers_of,
    layer_of,
    layers_of,
)
from nanotool.ops.registry import ROOMS, Reads, Registry, Room
from nanotool.ops.taps import macs

__all__ = [
    "FACTS",
    "INT8_OPERATORS",
    "INT16_OPERATORS",
    "OPERATORS",
    "ROOMS",
    "Facts",
    "FloatLayer",
    "Layer",
    "OpT_co",
    "Reads",
    "Registry",
    "Room",
    "facts",
    "float_layer_of",
    "float_layers_of",
    "group_count",
    "is_single_element",
    "keeps_bytes",
    "layer_of",
    "layers_of",
    "macs",
    "moves_nothing",
    "together",
    "yields_input",
]
