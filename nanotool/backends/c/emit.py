"""The files of a model folder.

Everything here makes text from values: the same Lowered, Plan and options give the same bytes, on
every machine. Where a model was lowered for several targets, each one's part stands under its
target's guard.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.backends.c import binary as binary_part
from nanotool.backends.c import camera as camera_part
from nanotool.backends.c import describe, text
from nanotool.backends.c import head as head_part
from nanotool.backends.c import loadable as loadable_part
from nanotool.backends.c import stream as stream_part
from nanotool.backends.c.describe import arrays_of
from nanotool.backends.c.folder import MARK, check_replaceable, graph_file, replace_folder
from nanotool.errors import InvalidModel
from nanotool.identifiers import c_comment, c_string, model_identifier
from nanotool.ir import DTYPES, ZERO_POINTS, Array, Int8Array, Lowered, Plan, QGraph, QTensor
from nanotool.lower import ABI, layer_names
from nanotool.ops import custom
from nanotool.plan import draw, input_offsets, scratch_offset
from nanotool.qfile import graph_hash, to_bytes
from nanotool.sensing.description import CameraSettings
from nanotool.sensing.words import senses
from nanotool.simulate import simulate_steps
from nanotool.targets import find_target
from nanotool.training.cut import Trainable
from nanotool.version import __version__


def export(
    lowered_and_plans: Sequence[tuple[Lowered, Plan]],
    folder: Path,
    *,
    golden: int = 4,
    head: Trainable | None = None,
    loadable: bool = False,
    weights: str = "c",
    place: str = "",
) -> None:
    """Write the model folder ``folder``: C sources for every target, and the QGraph's file.

    ``golden`` is the number of golden vectors. ``head`` stands behind the model, which must be its
    backbone, and learns on the device. ``loadable``: the sources also take weights that are brought
    at run time, and each target's weights are a file (`nanotool.backends.c.loadable`). ``weights``:
    "c", or "bin" for a binary file that the assembler brings in (`nanotool.backends.c.binary`);
    ``place`` is then where the folder stands on the include path, "" or "some/place/".

    The folder is replaced as a whole; if anything fails, what was there before is still there.
    Raises `NanoError` where the folder holds files that no export wrote, or cannot be written.
    """
    check_replaceable(folder.resolve())
    files = sources(
        lowered_and_plans,
        golden=golden,
        head=head,
        loadable=loadable,
        weights=weights,
        place=place,
    )
    replace_folder(folder, files)


def export_several(
    models: Sequence[Sequence[tuple[Lowered, Plan]]],
    folder: Path,
    *,
    golden: int = 4,
    weights: str = "c",
    place: str = "",
) -> None:
    """Write ``folder`` with several models, each lowered for the same targets, of which a firmware
    runs one at a time: `export` of them all. Their numbers are those of their places in ``models``.
    """
    check_replaceable(folder.resolve())
    files = sources_of_several(models, golden=golden, weights=weights, place=place)
    replace_folder(folder, files)


def sources(
    lowered_and_plans: Sequence[tuple[Lowered, Plan]],
    *,
    golden: int = 4,
    head: Trainable | None = None,
    loadable: bool = False,
    weights: str = "c",
    place: str = "",
) -> dict[str, bytes]:
    """The content of every file of the model folder, by name."""
    model = _model(lowered_and_plans, head, loadable, weights, place)
    files = _files(model, golden) | {"app_model.h": _app_header(model)}
    return _bytes(files) | {graph_file(0): to_bytes(model.graph)} | _weights_images(model)


def sources_of_several(
    models: Sequence[Sequence[tuple[Lowered, Plan]]],
    *,
    golden: int = 4,
    weights: str = "c",
    place: str = "",
) -> dict[str, bytes]:
    """`sources` of several models in one folder."""
    every = [_model(pairs, weights=weights, place=place) for pairs in models]
    if len(every) == 1:
        return sources(models[0], golden=golden, weights=weights, place=place)
    _check_apart(every)
    files: dict[str, str] = {"app_model.h": _app_header_of_several(every)}
    for model in every:
        own = _files(model, golden)
        if clash := {name for name in files.keys() & own.keys() if files[name] != own[name]}:
            raise InvalidModel(f"Two models have a file {min(clash)}.", _OTHER_NAME)
        files |= own
    graphs = {graph_file(n): to_bytes(model.graph) for n, model in enumerate(every)}
    images = (_weights_images(model) for model in every)
    return reduce(lambda a, b: a | b, images, _bytes(files) | graphs)


_OTHER_NAME = "Give one another name: nanotool quantize --name, or that of the .tflite file."


def _check_apart(models: Sequence[_Model]) -> None:
    """`InvalidModel` unless one firmware can hold ``models``, and tell them apart."""
    seen: dict[str, str] = {}  # macro -> digest
    symbols: set[str] = set()
    options = [[(v.target, v.optimize) for v, _ in model.variants] for model in models]
    if any(other != options[0] for other in options):
        raise InvalidModel("The models' targets differ.", "Lower all for the same targets.")
    for model in models:
        if model.digest in seen.values():
            raise InvalidModel(f"{model.name} is named twice.", "Name each model once.")
        if model.macro in seen:
            raise InvalidModel(f"Two models are called {model.name}.", _OTHER_NAME)
        seen[model.macro] = model.digest
        arrays = (a for lowered, _ in model.variants for a in lowered.arrays())
        own = {f"{model.name}_model", *(model.symbol(array) for array in arrays)}
        if clash := symbols & own:
            raise InvalidModel(f"Two models have a symbol {min(clash)}.", _OTHER_NAME)
        symbols |= own


def _model(
    lowered_and_plans: Sequence[tuple[Lowered, Plan]],
    head: Trainable | None = None,
    loadable: bool = False,
    weights: str = "c",
    place: str = "",
) -> _Model:
    variants = _ordered(lowered_and_plans)
    graph = variants[0][0].graph
    digest = graph_hash(graph)
    if any(graph_hash(lowered.graph) != digest for lowered, _ in variants):
        raise InvalidModel("The targets' models differ.", "Lower one QGraph for all targets.")
    if head is not None and head.config.backbone != digest:
        raise InvalidModel("The head is not this model's.", "Export the backbone it was cut from.")
    binary = binary_part.is_binary(weights)
    name = model_identifier(graph.name)
    return _Model(name, digest, graph, variants, head, loadable, binary, place)


def _files(model: _Model, golden: int) -> dict[str, str]:
    """All that is ``model``'s own."""
    texts = {
        f"{model.name}.h": _header(model),
        f"{model.name}.c": _source(model),
        f"{model.name}_weights.h": _weights_header(model),
        f"{model.name}_weights.c": _weights_source(model),
    }
    if model.head is not None:
        texts |= _head_files(model, model.head)
    if model.graph.stream is not None:
        texts |= _stream_files(model)
    if model.graph.camera is not None:
        texts |= _camera_files(model, model.graph.camera)
    own = _own(model)
    if clash := texts.keys() & own.keys():
        raise InvalidModel(f"An operator's package has a file {min(clash)}.", _OTHER_NAME)
    texts |= own
    if golden > 0:
        texts[f"{model.name}_golden.h"] = _golden_header(model, golden)
    return texts


def _own(model: _Model) -> dict[str, str]:
    """The C files of the operators that packages bring, by name."""
    made = f"/* {MARK} {__version__}; do not edit: an operator's own source. */\n"
    files = custom.c_files(custom.used(model.graph))
    if not files:
        return {}
    taken = {
        name
        for lowered, _ in model.variants
        for op in lowered.ops
        for name in (op.kernel, op.params.ctype)
    }
    names = {name for lowered, _ in model.variants for name in layer_names(lowered)}
    if clash := taken & {f"{model.name}_{name}" for name in names}:
        raise InvalidModel(
            f"A layer of {model.name} would be called {min(clash)}, as the kernel of an operator.",
            _OTHER_NAME,
        )
    return {name: made + files[name] for name in sorted(files)}


def _bytes(texts: dict[str, str]) -> dict[str, bytes]:
    return {name: content.encode("ascii") for name, content in texts.items()}


@dataclass(frozen=True, slots=True)
class _Model:
    """What the files have in common."""

    name: str  # begins every file's and symbol's name
    digest: str
    graph: QGraph
    variants: tuple[tuple[Lowered, Plan], ...]  # unguarded target last
    head: Trainable | None  # that learns on the device
    loadable: bool = False  # the weights may be brought at run time
    binary: bool = False  # the weights are a file that the assembler brings in
    place: str = ""  # of the model folder on the include path

    @property
    def linked_const(self) -> str:
        """Before what is const where the weights are linked."""
        return "NANO_LINKED_CONST" if self.loadable else "const"

    @property
    def macro(self) -> str:
        return self.name.upper()

    def symbol(self, array: Array) -> str:
        return f"{self.name}_{array.name}"

    def linked(self, array: Array) -> str:
        """The symbol, where the weights are linked."""
        return f"NANO_LINKED({self.symbol(array)})" if self.loadable else self.symbol(array)


def _ordered(lowered_and_plans: Sequence[tuple[Lowered, Plan]]) -> tuple[tuple[Lowered, Plan], ...]:
    """The variants, each target once: a target before the one that it is based on, whose guard
    holds for it, too, and last the one that any compiler takes."""
    if not lowered_and_plans:
        raise InvalidModel("There is nothing to export.", "Name at least one target.")
    targets = [lowered.target for lowered, _ in lowered_and_plans]
    if len(set(targets)) != len(targets):
        raise InvalidModel("A target is named twice.", "Name each target once.")
    unguarded = [target for target in targets if not find_target(target).guard]
    if len(unguarded) > 1:
        raise InvalidModel(f"Targets {' and '.join(unguarded)} fit every compiler.", "Choose one.")

    def place(pair: tuple[Lowered, Plan]) -> int:
        target = find_target(pair[0].target)
        return -len(target.lineage) if target.guard else 0

    return tuple(sorted(lowered_and_plans, key=place))


# --- What every file has --------------------------------------------------------------------------


def _banner(model: _Model, name: str, purpose: str, more: Sequence[str] = ()) -> list[str]:
    title, mark = f"{name} - {purpose}.", f"{MARK} {__version__}; do not edit."
    one_line = len(title) + len(mark) < describe.COMMENT_WIDTH
    lines = [
        *([f"{title} {mark}"] if one_line else [mark, title]),
        "",
        f"model    {c_comment(model.graph.name)}, hash {model.digest}",
        *([f"source   {c_comment(model.graph.source)[:80]}"] if model.graph.source else []),
        *(f"options  target {v.target}, optimize {v.optimize}" for v, _ in model.variants),
        *more,
    ]
    return list(text.comment(lines))


def _banner_of_several(models: Sequence[_Model], name: str, purpose: str) -> list[str]:
    lines = [f"{MARK} {__version__}; do not edit.", f"{name} - {purpose}.", ""]
    for number, model in enumerate(models):
        lines.append(f"model {number}  {c_comment(model.graph.name)}, hash {model.digest}")
        if model.graph.source:
            lines.append(f"source   {c_comment(model.graph.source)[:80]}")
    lines += [f"options  target {v.target}, optimize {v.optimize}" for v, _ in models[0].variants]
    return list(text.comment(lines))


def _guarded(model: _Model, part: Callable[[Lowered, Plan], list[str]]) -> list[str]:
    """``part`` for every variant, under its target's condition; an error where none holds."""
    lines: list[str] = []
    for number, (lowered, plan) in enumerate(model.variants):
        guard = find_target(lowered.target).guard
        if guard:
            lines += [f"#{'el' if number else ''}if {guard}  /* target {lowered.target} */", ""]
        elif number:
            lines += [f"#else  /* target {lowered.target} */", ""]
        lines += [*part(lowered, plan), ""]
    if all(find_target(lowered.target).guard for lowered, _ in model.variants):
        names = ", ".join(lowered.target for lowered, _ in model.variants)
        lines += ["#else", f'#error "{model.name} was exported for {names}, not for this compiler"']
    return [*lines, "#endif", ""] if find_target(model.variants[0][0].target).guard else lines


def _include_guard(model: _Model, file: str, body: list[str]) -> list[str]:
    macro = f"{model.macro}_{file}"
    return [f"#ifndef {macro}", f"#define {macro}", "", *body, "#endif"]


def _file(*parts: Sequence[str]) -> str:
    """The lines of ``parts``; of several blank lines one stays, and none at the end."""
    text_ = "\n".join(line.rstrip() for part in parts for line in part)
    return re.sub(r"\n{3,}", "\n\n", text_).rstrip("\n") + "\n"


_FORMAT_OFF = ["/* clang-format off */"]
_EXTERN_C = ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
_EXTERN_C_END = ["#ifdef __cplusplus", "}", "#endif"]


# --- NAME.h, app_model.h --------------------------------------------------------------------------


def _header(model: _Model) -> str:
    graph = model.graph
    facts = [
        *_end_lines("input", graph.input_tensors),
        *_end_lines("output", graph.output_tensors),
        *_state_lines(graph),
        *(f"classes  {line}" for line in _labels(graph)),
        *(
            f"cost     {lowered.macs:,} MAC, {lowered.weight_bytes:,} bytes of weights, "
            f"{plan.arena_size:,} bytes of arena ({lowered.target})"
            for lowered, plan in model.variants
        ),
    ]
    body = [
        '#include "nano/model.h"',
        *(['#include "nano/weights.h"'] if model.loadable else []),
        "",
        *_EXTERN_C,
        "/* Bytes of arena that the model takes, for tensors and scratch: the size of a buffer for",
        " * an arena (aligned to NANO_ALIGN) that holds nothing else. */",
        *_guarded(model, lambda _, plan: [f"#define {model.macro}_ARENA_SIZE {plan.arena_size}u"]),
        *_sizes(model),
        *_scales(model),
        *_state_sizes(model),
        *_label_list(model),
        f"extern {model.linked_const} nano_model {model.name}_model;",
        "",
        *(loadable_part.declaration(model.name) if model.loadable else []),
        *_EXTERN_C_END,
    ]
    banner = _banner(model, f"{model.name}.h", "the model", facts)
    return _file(banner, _include_guard(model, "H", body))


def _end_lines(what: str, tensors: Sequence[QTensor]) -> list[str]:
    """The border's tensors; with number and name where there are several."""
    if len(tensors) == 1:
        return [f"{what:8} {describe.tensor_line(tensors[0])}"]
    return [
        f"{f'{what} {number}':8} {c_comment(tensor.name)}: {describe.tensor_line(tensor)}"
        for number, tensor in enumerate(tensors)
    ]


def _state_lines(graph: QGraph) -> list[str]:
    return [
        f"{f'state {number}':8} {c_comment(state.name)}: "
        f"{describe.tensor_line(graph.tensors[state.read])}"
        for number, state in enumerate(graph.states)
    ]


def _sizes(model: _Model) -> list[str]:
    """Macros for the bytes of inputs and outputs."""
    ends = (("INPUT", model.graph.input_tensors), ("OUTPUT", model.graph.output_tensors))
    several = any(len(tensors) > 1 for _, tensors in ends)
    lines = ["/* Bytes of the input and of the output. */"]
    if several:
        lines = [
            "/* Bytes of all inputs and of all outputs, each behind the other; of each one. */"
        ]
    for what, tensors in ends:
        lines.append(f"#define {model.macro}_{what}_SIZE {sum(t.nbytes for t in tensors)}u")
    if several:
        for what, tensors in ends:
            lines.append(f"#define {model.macro}_{what}_COUNT {len(tensors)}u")
            lines += [
                f"#define {model.macro}_{what}_{number}_SIZE {tensor.nbytes}u"
                f"  /* {c_comment(tensor.name)} */"
                for number, tensor in enumerate(tensors)
            ]
    return [*lines, ""]


def _scales(model: _Model) -> list[str]:
    """Macros for the scales and zero points of inputs and outputs that have them."""
    lines: list[str] = []
    for what, tensors in (
        ("INPUT", model.graph.input_tensors),
        ("OUTPUT", model.graph.output_tensors),
    ):
        for number, tensor in enumerate(tensors):
            if tensor.dtype in ZERO_POINTS:
                name = f"{model.macro}_{what}" + (f"_{number}" if len(tensors) > 1 else "")
                zero = str(tensor.zero_point)
                lines += [
                    f"#define {name}_SCALE {text.float_literal(tensor.scale)}",
                    f"#define {name}_ZERO_POINT {f'({zero})' if tensor.zero_point < 0 else zero}",
                ]
    if not lines:
        return []
    return ["/* real = scale * (q - zero_point); nano/values.h computes it. */", *lines, ""]


def _label_list(model: _Model) -> list[str]:
    """A macro of the classes' names, in UTF-8; nothing for a model without."""
    labels = model.graph.labels
    if not labels:
        return []
    return [
        "/* The classes' names, in order: static const char *const labels[] = "
        f"{model.macro}_LABELS; */",
        f"#define {model.macro}_LABEL_COUNT {len(labels)}u",
        f"#define {model.macro}_LABELS \\",
        "    { \\",
        *(f"        {c_string(label)}, \\" for label in labels),
        "    }",
        "",
    ]


def _state_sizes(model: _Model) -> list[str]:
    """Macros for the bytes of states; nothing for a model without."""
    states = model.graph.states
    if not states:
        return []
    saved = sum(model.graph.tensors[state.read].nbytes for state in states)
    return [
        "/* Bytes of the arena, from its start on, that keep their values from step to step. */",
        *_guarded(model, lambda _, plan: [f"#define {model.macro}_STATE_SIZE {plan.state_size}u"]),
        "/* Bytes that nano_save_state() writes, and how many states those are. */",
        f"#define {model.macro}_SAVED_STATE_SIZE (NANO_STATE_HEADER + {saved}u)",
        f"#define {model.macro}_STATE_COUNT {len(states)}u",
        "",
    ]


def _labels(graph: QGraph) -> list[str]:
    """The classes' names, wrapped."""
    lines: list[str] = []
    for number, label in enumerate(graph.labels):
        item = f"{number} {c_comment(label)}"
        if lines and len(lines[-1]) + len(item) + 2 <= 80:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return lines


def _app_header(model: _Model) -> str:
    banner = _banner(model, "app_model.h", "tells the firmware which model it runs")
    body = [
        f'#include "{model.name}.h"',
        "",
        f"#define APP_MODEL {model.name}_model",
        f"#define APP_ARENA_SIZE {model.macro}_ARENA_SIZE",
        f"#define APP_INPUT_SIZE {model.macro}_INPUT_SIZE",
        f"#define APP_OUTPUT_SIZE {model.macro}_OUTPUT_SIZE",
        *_app_ends(model),
        "",
    ]
    if model.head is not None:
        body.insert(1, f'#include "{model.name}_train.h"')
        body += [
            "/* The model computes features; this head makes classes of them, and learns. */",
            f"#define APP_TRAIN {model.name}_train",
            f"#define APP_TRAIN_ARENA_SIZE {model.macro}_TRAIN_ARENA_SIZE",
        ]
        if model.head.config.loss == "mse":
            body.append(f"#define APP_TRAIN_TARGETS {model.head.config.outputs}u")
        body.append("")
    if model.graph.stream is not None:
        body.insert(1, f'#include "{model.name}_stream.h"')
        body += [
            "/* The model listens: front end, model and rule in one arena. */",
            f"#define APP_STREAM {model.name}_stream",
            f"#define APP_STREAM_ARENA_SIZE {model.macro}_STREAM_ARENA_SIZE",
            f"#define APP_SAMPLE_RATE {model.macro}_SAMPLE_RATE",
            f"#define APP_SAMPLE_VALUES {model.macro}_SAMPLE_VALUES",
            f"#define APP_STEP_VALUES {model.macro}_STEP_VALUES",
            "",
        ]
    return _file(banner, ["#ifndef APP_MODEL_H", "#define APP_MODEL_H", "", *body, "#endif"])


def _app_header_of_several(models: Sequence[_Model]) -> str:
    banner = _banner_of_several(
        models, "app_model.h", "tells the firmware which models it runs, one at a time"
    )
    body = [
        *(f'#include "{model.name}.h"' for model in models),
        *(f'#include "{model.name}_stream.h"' for model in models if model.graph.stream),
        "",
        "/* In the order of their numbers. */",
        f"#define APP_MODEL_COUNT {len(models)}u",
        _each("APP_MODELS", [f"&{model.name}_model" for model in models]),
        *_several_streams(models),
        *_several_states(models),
        "",
        "/* They take turns: what they work in is as large as the largest needs. */",
        "#define APP_LARGER(a, b) ((a) > (b) ? (a) : (b))",
        *_largest("ARENA_SIZE", [f"{model.macro}_ARENA_SIZE" for model in models]),
        *_largest("INPUT_SIZE", [f"{model.macro}_INPUT_SIZE" for model in models]),
        *_largest("OUTPUT_SIZE", [f"{model.macro}_OUTPUT_SIZE" for model in models]),
        *_several_ends(models),
        "",
    ]
    return _file(banner, ["#ifndef APP_MODEL_H", "#define APP_MODEL_H", "", *body, "#endif"])


def _each(macro: str, values: Sequence[str]) -> str:
    return f"#define {macro} {', '.join(values)}"


def _largest(what: str, values: Sequence[str]) -> list[str]:
    """APP_what: the largest of ``values``."""
    return [f"#define APP_{what} {reduce(lambda a, b: f'APP_LARGER({a}, {b})', values)}"]


def _several_ends(models: Sequence[_Model]) -> Iterator[str]:
    inputs = max(len(model.graph.inputs) for model in models)
    outputs = max(len(model.graph.outputs) for model in models)
    for what, count in (("INPUT", inputs), ("OUTPUT", outputs)):
        if count > 1:
            yield f"#define APP_{what}_COUNT {count}u"
    saved = [f"{m.macro}_SAVED_STATE_SIZE" for m in models if m.graph.states]
    if saved:
        yield from _largest("SAVED_STATE_SIZE", saved)
    if any(model.graph.stream for model in models):
        rooms = [
            f"{model.macro}_{'STREAM_' if model.graph.stream else ''}ARENA_SIZE" for model in models
        ]
        yield from _largest("STREAM_ARENA_SIZE", rooms)


def _several_streams(models: Sequence[_Model]) -> Iterator[str]:
    """Which models listen; nothing if none does."""
    if any(model.graph.stream for model in models):
        yield _each(
            "APP_STREAMS",
            [f"&{model.name}_stream" if model.graph.stream else "NULL" for model in models],
        )
        yield _each(
            "APP_SAMPLE_RATES",
            [f"{model.macro}_SAMPLE_RATE" if model.graph.stream else "0u" for model in models],
        )


def _several_states(models: Sequence[_Model]) -> Iterator[str]:
    if any(model.graph.states for model in models):
        sizes = [f"{model.macro}_STATE_SIZE" if model.graph.states else "0u" for model in models]
        yield _each("APP_STATE_SIZES", sizes)


def _app_ends(model: _Model) -> list[str]:
    """What the firmware needs to know of several inputs and outputs, and of states."""
    several = {"INPUT": len(model.graph.inputs), "OUTPUT": len(model.graph.outputs)}
    lines = [
        f"#define APP_{what}_COUNT {model.macro}_{what}_COUNT"
        for what, count in several.items()
        if count > 1
    ]
    if model.graph.states:
        lines += [
            f"#define APP_STATE_SIZE {model.macro}_STATE_SIZE",
            f"#define APP_SAVED_STATE_SIZE {model.macro}_SAVED_STATE_SIZE",
        ]
    return lines


# --- NAME_train.h, NAME_train.c -------------------------------------------------------------------


def _head_files(model: _Model, trainable: Trainable) -> dict[str, str]:
    header, source = f"{model.name}_train.h", f"{model.name}_train.c"
    facts = head_part.facts(trainable)
    body = _include_guard(model, "TRAIN_H", head_part.declaration(model.name, trainable.config))
    return {
        header: _file(_banner(model, header, "the head that learns", facts), body),
        source: _file(
            _banner(model, source, "where learning begins", facts),
            _FORMAT_OFF,
            head_part.definition(model.name, trainable),
        ),
    }


# --- NAME_stream.h, NAME_stream.c -----------------------------------------------------------------


def _senses(graph: QGraph) -> list[str]:
    """What a banner says of stream or camera."""
    return [f"{name:<9}{c_comment(value)}" for name, value in senses(graph)]


def _stream_files(model: _Model) -> dict[str, str]:
    header, source = f"{model.name}_stream.h", f"{model.name}_stream.c"
    facts = _senses(model.graph)
    body = _include_guard(model, "STREAM_H", stream_part.declaration(model.graph, model.name))
    return {
        header: _file(_banner(model, header, "from samples to decisions", facts), body),
        source: _file(
            _banner(model, source, "front end, model and rule in one", facts),
            _FORMAT_OFF,
            stream_part.definition(model.graph, model.name),
        ),
    }


def _camera_files(model: _Model, camera: CameraSettings) -> dict[str, str]:
    header, source = f"{model.name}_camera.h", f"{model.name}_camera.c"
    facts = _senses(model.graph)
    body = _include_guard(model, "CAMERA_H", camera_part.declaration(camera, model.name))
    tensor = model.graph.input_tensor
    return {
        header: _file(_banner(model, header, "from a camera's lines to the input", facts), body),
        source: _file(
            _banner(model, source, "what the input's picture is made of", facts),
            _FORMAT_OFF,
            camera_part.definition(camera, tensor, model.name),
        ),
    }


# --- NAME.c ---------------------------------------------------------------------------------------


def _source(model: _Model) -> str:
    head = [
        f'#include "{model.name}.h"',
        f'#include "{model.name}_weights.h"',
        '#include "nano/ops.h"',
        *(f'#include "{name}"' for name in _own(model) if name.endswith(".h")),
        "",
        f"#if NANO_ABI != {ABI}",
        f'#error "export {model.name} again (nanotool export): it is for NANO_ABI {ABI}"',
        "#endif",
        "",
    ]
    banner = _banner(model, f"{model.name}.c", "ops and their parameters")
    return _file(
        banner, _FORMAT_OFF, head, _guarded(model, lambda lowered, plan: _ops(model, lowered, plan))
    )


def _ops(model: _Model, lowered: Lowered, plan: Plan) -> list[str]:
    """The arena's picture, each layer's parameters, the op table and the model."""
    names = layer_names(lowered)
    lines = [*text.comment(c_comment_lines(draw(lowered, plan, ascii_only=True))), ""]
    idle = _idle(lowered)
    lines += idle.get(-1, [])
    for index, op in enumerate(lowered.ops):
        lines += text.comment(describe.layer_comment(lowered, plan, index))
        const = model.linked_const if arrays_of(op.params) else "const"
        lines.append(f"static {const} {op.params.ctype} {model.name}_{names[index]} = ")
        lines[-1] += text.initializer(op.params, model.linked) + ";"
        lines += ["", *idle.get(index, [])]
    if lowered.ops:
        lines += _op_table(model, lowered, plan, names)
    lines += _model_struct(model, lowered, plan)
    if model.loadable:
        params = {f"{model.name}_{names[i]}": op.params for i, op in enumerate(lowered.ops)}
        lines += loadable_part.definition(model.name, model.digest, lowered, params)
    return lines


def _idle(lowered: Lowered) -> dict[int, list[str]]:
    """Comments on the graph's ops that need no call, by the lowered op behind which they stand."""
    calls: dict[str, int] = {}  # tensor -> the last lowered op that works for it
    for index, op in enumerate(lowered.ops):
        calls.update(dict.fromkeys((*op.source, op.output, *op.more), index))
    lines: dict[int, list[str]] = {}
    place = -1
    for qop in lowered.graph.ops:
        if qop.name in calls:
            place = calls[qop.name]
        else:
            comment = text.comment([describe.alias_comment(lowered.graph, qop)])
            lines.setdefault(place, []).extend([*comment, ""])
    return lines


def c_comment_lines(picture: str) -> list[str]:
    """A text of several lines, each made safe for a comment."""
    return [c_comment(line) for line in picture.splitlines()]


def _op_table(model: _Model, lowered: Lowered, plan: Plan, names: list[str]) -> list[str]:
    lines = ["/* Offsets are bytes from the start of the model's room in the arena. */"]
    lines.append(f"static const nano_op {model.name}_ops[] = {{")
    for index, op in enumerate(lowered.ops):
        inputs = [str(offset) for offset in input_offsets(plan, op)]
        inputs += ["NANO_NONE"] * (2 - len(inputs))
        at = scratch_offset(plan, index)
        scratch = "NANO_NONE" if at is None else str(at)
        out, size = plan.buffers[op.output].offset, lowered.buffers[op.output] if op.source else 0
        lines += [
            f"    {{.run = {op.kernel}, .params = &{model.name}_{names[index]},",
            f"     .in = {{{', '.join(inputs)}}}, .out = {out}, .scratch = {scratch}, "
            f".out_size = {size}}},",
        ]
    lines += ["};", "", f"static const char *const {model.name}_op_names[] = {{"]
    lines += [f"    {c_string(op.name)}," for op in lowered.ops]
    return [*lines, "};", ""]


def _model_struct(model: _Model, lowered: Lowered, plan: Plan) -> list[str]:
    graph = model.graph
    table = f"{model.name}_ops" if lowered.ops else "NULL"
    names = f"{model.name}_op_names" if lowered.ops else "NULL"
    lines: list[str] = []
    for what, ends, places in (
        ("inputs", graph.input_tensors, lowered.inputs),
        ("outputs", graph.output_tensors, lowered.outputs),
    ):
        lines.append(f"static const nano_tensor {model.name}_{what}[] = {{")
        for tensor, buffer in zip(ends, places, strict=True):
            fields = _tensor(tensor, plan.buffers[buffer].offset, tensor.name)
            lines += ["    {", *(f"        {field}" for field in fields), "    },"]
        lines += ["};", ""]
    lines += _states(model, lowered, plan)
    states = f"{model.name}_states" if graph.states else "NULL"
    return [
        *lines,
        f"{model.linked_const} nano_model {model.name}_model = {{",
        "    .abi = NANO_LOADED_WEIGHTS ? 0 : NANO_ABI,"
        if model.loadable
        else "    .abi = NANO_ABI,",
        f"    .name = {c_string(model.name)},",
        f"    .hash = {c_string(model.digest)},",
        f"    .ops = {table},",
        f"    .op_names = {names},",
        f"    .inputs = {model.name}_inputs, .outputs = {model.name}_outputs, .states = {states},",
        f"    .op_count = {len(lowered.ops)},",
        f"    .input_count = {len(graph.inputs)}, .output_count = {len(graph.outputs)}, "
        f".state_count = {len(graph.states)},",
        f"    .arena_size = {model.macro}_ARENA_SIZE,",
        "};",
    ]


def _states(model: _Model, lowered: Lowered, plan: Plan) -> list[str]:
    """The table of states, and the initial values that are not one byte again and again."""
    graph = lowered.graph
    if not graph.states:
        return []
    arrays, rows = [], [f"static const nano_state {model.name}_states[] = {{"]
    for number, (state, buffer) in enumerate(zip(graph.states, lowered.states, strict=True)):
        fill = uniform_byte(state.initial)
        initial = "NULL"
        if fill is None:
            initial = f"{model.name}_initial_{number}"
            arrays += [
                *text.comment([c_comment(f"{state.name}: before the first step")]),
                f"static const {text.CTYPES[state.initial.dtype.name]} {initial}"
                f"[{state.initial.size}] = {{",
                *text.number_rows(state.initial),
                "};",
                "",
            ]
        fields = _tensor(graph.tensors[state.read], plan.buffers[buffer].offset, state.name)
        rows += [
            "    {",
            "        .tensor = {",
            *(f"            {field}" for field in fields),
            "        },",
            f"        .initial = {initial}, .fill = {fill or 0},",
            "    },",
        ]
    return [*arrays, *rows, "};", ""]


def uniform_byte(data: NDArray[Any]) -> int | None:
    """The byte of which all of ``data`` is made, as nano_state's ``fill``; None if there are
    several."""
    values = set(data.tobytes())
    return values.pop() if len(values) == 1 else None


def _tensor(tensor: QTensor, offset: int, name: str) -> list[str]:
    """The fields of a nano_tensor, three lines."""
    shape = ", ".join(str(n) for n in tensor.shape or (1,))
    return [
        f".offset = {offset}, .size = {tensor.nbytes}, .shape = {{{shape}}},",
        f".scale = {text.float_literal(tensor.scale)}, .zero_point = {tensor.zero_point}, "
        f".type = NANO_{tensor.dtype.upper()},",
        f".name = {c_string(name)},",
    ]


# --- NAME_weights.h, NAME_weights.c ---------------------------------------------------------------


def _weights_header(model: _Model) -> str:
    banner = _banner(model, f"{model.name}_weights.h", "the arrays in flash")

    def declarations(lowered: Lowered, _plan: Plan) -> list[str]:
        if model.binary:
            return binary_part.declarations(lowered, model.name)
        return [
            f"extern const {text.ctype(array)} {model.symbol(array)}[{array.data.size}];"
            for array in lowered.arrays()
        ]

    body = [
        "#include <stdint.h>",
        *(["", '#include "nano/incbin.h"'] if model.binary else []),
        "",
        *_EXTERN_C,
        *_guarded(model, declarations),
        *_EXTERN_C_END,
    ]
    return _file(banner, _include_guard(model, "WEIGHTS_H", body))


def _weights_source(model: _Model) -> str:
    banner = _banner(model, f"{model.name}_weights.c", "the arrays in flash")

    def definitions(lowered: Lowered, _plan: Plan) -> list[str]:
        owners = _owners(lowered)
        comments = {a.name: c_comment(f"{owners[a.name]}: {a.note}") for a in lowered.arrays()}
        if model.binary:
            return binary_part.definitions(lowered, model.name, model.place, comments)
        aligned = "NANO_WORD_ALIGNED" if find_target(lowered.target).align == 4 else "NANO_ALIGNED"
        lines: list[str] = []
        for array in lowered.arrays():
            lines += [
                *text.comment([comments[array.name]]),
                f"{aligned} const {text.ctype(array)} "
                f"{model.symbol(array)}[{array.data.size}] = {{",
                *text.number_rows(array.data),
                "};",
                "",
            ]
        return lines[:-1]

    head = [f'#include "{model.name}_weights.h"', '#include "nano/config.h"', ""]
    return _file(banner, _FORMAT_OFF, head, _guarded(model, definitions))


def _owners(lowered: Lowered) -> dict[str, str]:
    """The op that first uses each array, and how many share it, by the array's name."""
    users: dict[str, list[str]] = {}
    for index, op in enumerate(lowered.ops):
        for array in arrays_of(op.params):
            users.setdefault(array.name, []).append(f"{index}  {op.name}")
    return {
        name: first + (f" and {len(others)} more" if others else "")
        for name, (first, *others) in users.items()
    }


# --- NAME.TARGET.weights, NAME.TARGET.bin ---------------------------------------------------------


def _weights_images(model: _Model) -> dict[str, bytes]:
    linked = {
        binary_part.file_name(model.name, lowered.target): binary_part.image(lowered)
        for lowered, _ in model.variants
        if model.binary and lowered.arrays()
    }
    if not model.loadable:
        return linked
    return linked | {
        f"{model.name}.{lowered.target}{loadable_part.SUFFIX}": loadable_part.image(
            lowered, model.digest
        )
        for lowered, _ in model.variants
    }


# --- NAME_golden.h --------------------------------------------------------------------------------


def golden_inputs(graph: QGraph, count: int) -> tuple[tuple[NDArray[Any], ...], str]:
    """(``count`` samples of every input, where they are from): the graph's own, then made ones."""
    have = min(count, len(graph.samples[0])) if graph.samples else 0
    missing = count - have
    results = []
    noise = _noise(missing * sum(tensor.size for tensor in graph.input_tensors))
    for number, tensor in enumerate(graph.input_tensors):
        dtype = DTYPES[tensor.dtype]
        none = np.zeros((0, *tensor.shape), dtype)
        real = np.nan_to_num(graph.samples[number][:count]) if have else none
        part, noise = np.split(noise, [missing * tensor.size])
        made = noise_of_type(part, dtype).reshape(missing, *tensor.shape)
        results.append(np.concatenate([real, made]))
    if not missing:
        return tuple(results), "inputs from the calibration data"
    origin = f"{have} inputs from the calibration data, then noise"
    return tuple(results), origin if have else "inputs are noise"


def noise_of_type(noise: Int8Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    """``noise``, an element each: all bytes, all of int16's range, floats from -4 to 4."""
    made: NDArray[Any]
    if dtype == np.float32:
        made = noise / np.float32(32)
    elif dtype.itemsize == 1:
        made = noise.view(dtype)
    else:
        made = noise.astype(dtype) * dtype.type(256)
    return made


def _noise(count: int) -> Int8Array:
    """Bytes of a linear congruential generator (Numerical Recipes' constants, seed 1): the same
    everywhere."""
    state = 1
    values = bytearray(count)
    for i in range(count):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
        values[i] = state >> 24
    return np.frombuffer(bytes(values), np.int8)


def _golden_header(model: _Model, count: int) -> str:
    inputs, origin = golden_inputs(model.graph, count)
    outputs, _ = simulate_steps(model.graph, inputs)
    vectors = f"vectors  {count}; {origin}; outputs from the simulator"
    banner = _banner(
        model,
        f"{model.name}_golden.h",
        "what the model must answer",
        [
            vectors,
            *(
                ["order    consecutive steps, the first one after a reset"]
                if model.graph.states
                else ()
            ),
            "crc      CRC-32 as in zlib",
        ],
    )
    ends = [*_numbered("input", inputs), *_numbered("output", outputs)]
    body = [
        f'#include "{model.name}.h"',
        "",
        f"#define {model.macro}_GOLDEN_COUNT {count}u",
        "",
        *(line for which, data in ends for line in _vectors(model, which, data)),
        *(line for which, data in ends for line in _checksums(model, which, data)),
    ]
    return _file(banner, _FORMAT_OFF, _include_guard(model, "GOLDEN_H", body))


def _numbered(which: str, arrays: Sequence[NDArray[Any]]) -> list[tuple[str, NDArray[Any]]]:
    """Each array with its name: input; input_0, input_1 where there are several."""
    if len(arrays) == 1:
        return [(which, arrays[0])]
    return [(f"{which}_{number}", data) for number, data in enumerate(arrays)]


def _vectors(model: _Model, which: str, data: NDArray[Any]) -> list[str]:
    elements = f"{model.macro}_{which.upper()}_SIZE"
    if data.itemsize > 1:
        elements += f" / {data.itemsize}"
    lines = [
        f"static const {text.CTYPES[data.dtype.name]} {model.name}_golden_{which}"
        f"[{model.macro}_GOLDEN_COUNT][{elements}] = {{"
    ]
    for vector in data:
        lines += ["    {", *text.number_rows(vector), "    },"]
    return [*lines, "};", ""]


def _checksums(model: _Model, which: str, data: NDArray[Any]) -> list[str]:
    """Of the bytes as they lie in a little-endian machine's memory."""
    little = data.astype(data.dtype.newbyteorder("<"))
    crcs = np.array([zlib.crc32(vector.tobytes()) for vector in little], np.uint32)
    return [
        f"static const uint32_t {model.name}_golden_{which}_crc[{model.macro}_GOLDEN_COUNT] = {{",
        *text.number_rows(crcs),
        "};",
        "",
    ]
