"""NAME_stream.h and NAME_stream.c: front end, model and rule behind one call (nano/stream.h)."""

from __future__ import annotations

from nanotool.backends.c.tables import initializer, static_arrays
from nanotool.ir import QGraph
from nanotool.sensing.description import FrontEnd
from nanotool.sensing.rule import (
    INT32_MAX,
    class_integers,
    frames_of,
    stream_of,
)
from nanotool.signal.frontend import as_struct, kind_of


def declaration(graph: QGraph, name: str) -> list[str]:
    """The body of NAME_stream.h."""
    stream, macro = stream_of(graph), name.upper()
    ears, rule = stream.front_end, stream.rule
    return [
        f'#include "{name}.h"',
        f'#include "nano/signal/{kind_of(ears).header}.h"',
        '#include "nano/stream.h"',
        "",
        "/* Samples a second. */",
        f"#define {macro}_SAMPLE_RATE {ears.sample_rate}u",
        "",
        "/* Values of a sample, which are fed one behind the other. */",
        f"#define {macro}_SAMPLE_VALUES {ears.values}u",
        "",
        "/* Values from one step of the model to the next. */",
        f"#define {macro}_STEP_VALUES {ears.step * ears.values * stream.hop}u",
        "",
        "/* Bytes of arena that the stream takes, the model's among them. */",
        f"#define {macro}_STREAM_ARENA_SIZE \\",
        f"    ({macro}_ARENA_SIZE + \\",
        f"     NANO_DECIDER_ROOM({len(rule.classes)}u, {rule.window}u, {rule.top}u) + \\",
        f"     NANO_STREAM_ROOM({stream.front_end.features}u, {frames_of(graph)}u) + \\",
        f"     {kind_of(ears).room(ears)})",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"extern const nano_stream_params {name}_stream;",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
    ]


def definition(graph: QGraph, name: str) -> list[str]:
    """The body of NAME_stream.c."""
    return [
        f'#include "{name}_stream.h"',
        "",
        *_front_end(stream_of(graph).front_end, name),
        "",
        *_rule(graph, name),
        "",
        *_params(graph, name),
    ]


def _front_end(settings: FrontEnd, name: str) -> list[str]:
    struct, prefix = as_struct(settings), f"{name}_stream"
    value = initializer(struct, prefix)
    return [
        *static_arrays(struct, prefix),
        f"static const {struct.ctype} {prefix}_front_end = {value};",
    ]


def _rule(graph: QGraph, name: str) -> list[str]:
    rule = stream_of(graph).rule
    rows = [f"static const nano_class {name}_stream_classes[] = {{"]
    for one in class_integers(graph):
        release = "INT32_MAX" if one.release == INT32_MAX else str(one.release)
        rows.append(
            f"    {{.index = {one.index}, .refractory = {one.refractory}, "
            f".threshold = {one.threshold}, .release = {release}}},"
        )
    return [
        *rows,
        "};",
        "",
        f"static const nano_rule {name}_stream_rule = {{",
        f"    .classes = {name}_stream_classes, .class_count = {len(rule.classes)},",
        f"    .window = {rule.window}, .warm_up = {rule.warm_up}, .top = {rule.top}, "
        f".vote = {int(rule.vote)},",
        "};",
    ]


def _params(graph: QGraph, name: str) -> list[str]:
    stream = stream_of(graph)
    scaling = stream.scaling
    symbol = kind_of(stream.front_end).symbol
    return [
        f"const nano_stream_params {name}_stream = {{",
        f"    .model = &{name}_model,",
        f"    .front_end = &{symbol}, .front_end_params = &{name}_stream_front_end,",
        f"    .rule = &{name}_stream_rule,",
        f"    .features = {stream.front_end.features}, .frames = {frames_of(graph)}, "
        f".hop = {stream.hop},",
        f"    .multiplier = {scaling.multiplier}, .addend = {scaling.addend}, "
        f".divisor = {scaling.divisor},",
        "};",
    ]
