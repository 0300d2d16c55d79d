"""NAME_train.h and NAME_train.c: the trainable head behind a model (nano/train.h)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.backends.c import text
from nanotool.identifiers import c_comment, c_string
from nanotool.training.config import (
    HeadConfig,
    Layer,
    Recipe,
    arena_size,
    arena_size_macro,
    quantized_bias,
    quantized_weights,
)
from nanotool.training.cut import Trainable


def facts(head: Trainable) -> list[str]:
    """What a banner says of it."""
    config = head.config
    classes = f"{config.first_classes} classes, at most {config.outputs}"
    return [
        f"trains   {c_comment(' '.join(head.layers))}: {config.features} features, {classes}",
        f"with     {config.arithmetic}, {config.optimizer}, {config.loss}, {config.replay} replay "
        f"buffer of {config.replay_slots}",
        f"takes    {arena_size(config):,} bytes of arena of its own",
    ]


def declaration(name: str, config: HeadConfig) -> list[str]:
    """The body of NAME_train.h."""
    return [
        '#include "nano/train.h"',
        "",
        "/* Bytes of arena that the head takes, beside the model's. */",
        f"#define {name.upper()}_TRAIN_ARENA_SIZE \\",
        f"    {arena_size_macro(config)}",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"extern const nano_train_config {name}_train;",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
    ]


def definition(name: str, head: Trainable) -> list[str]:
    """The body of NAME_train.c."""
    config = head.config
    size = arena_size(config)
    lines = [
        f'#include "{name}_train.h"',
        "",
        "/* Fails where the library is of another generation: export the model again. */",
        f"NANO_STATIC_ASSERT({name.upper()}_TRAIN_ARENA_SIZE == {size}u,",
        f"                   {name}_train_was_exported_for_{size}_bytes);",
        "",
    ]
    for index, layer in enumerate(config.layers):
        lines += _arrays(name, head, index, layer)
    lines += [f"static const nano_train_layer {name}_train_layers[] = {{"]
    for index, layer in enumerate(config.layers):
        lines += _layer(name, index, layer)
    return [*lines, "};", "", *_config(name, config)]


def _arrays(name: str, head: Trainable, index: int, layer: Layer) -> list[str]:
    """The layer's first weights and bias."""
    config = head.config
    integers = config.arithmetic == "int16"
    weights = quantized_weights(layer) if integers else layer.weights
    bias = quantized_bias(layer) if integers else layer.bias
    unit = f"real * 2^{layer.weight_bits}" if integers else "real"
    shape = f"[{layer.outputs}][{config.inputs(index)}]"
    lines = list(text.comment([c_comment(f"{head.layers[index]}: weights {shape}, {unit}")]))
    lines += _array(f"{name}_train_weights_{index}", weights)
    unit = "real * 2^16" if integers else "real"
    lines += text.comment([c_comment(f"{head.layers[index]}: bias [{layer.outputs}], {unit}")])
    return lines + _array(f"{name}_train_bias_{index}", bias)


def _array(symbol: str, data: NDArray[Any] | None) -> list[str]:
    assert data is not None  # a cut model always has both
    return [
        f"static const {text.CTYPES[data.dtype.name]} {symbol}[{data.size}] = {{",
        *text.number_rows(data),
        "};",
        "",
    ]


def _layer(name: str, index: int, layer: Layer) -> list[str]:
    return [
        f"    {{.outputs = {layer.outputs}, .weight_bits = {layer.weight_bits}, "
        f".activation_bits = {layer.activation_bits},",
        f"     .weights = {name}_train_weights_{index}, .bias = {name}_train_bias_{index},",
        f"     .low = {layer.low}, .high = {layer.high}}},",
    ]


def _config(name: str, config: HeadConfig) -> list[str]:
    return [
        f"const nano_train_config {name}_train = {{",
        f"    .backbone = {c_string(config.backbone)},",
        f"    .features = {config.features},",
        f"    .feature_zero_point = {config.feature_zero_point},",
        f"    .feature_scale = {text.float_literal(float(np.float32(config.feature_scale)))},",
        f"    .arithmetic = &nano_train_{config.arithmetic},",
        f"    .loss = NANO_TRAIN_{config.loss.upper()},",
        f"    .optimizer = NANO_TRAIN_{config.optimizer.upper()},",
        f"    .replay = NANO_TRAIN_{config.replay.upper()},",
        f"    .replay_slots = {config.replay_slots},",
        f"    .class_means = {int(config.class_means)},",
        f"    .layer_count = {len(config.layers)},",
        f"    .classes = {config.first_classes},",
        f"    .layers = {name}_train_layers,",
        f"    .seed = {config.seed}u,",
        *_recipe(config.recipe),
        *_alarm(config),
        "};",
    ]


def _alarm(config: HeadConfig) -> list[str]:
    if config.anomaly == "none":
        return []
    numbers = ", ".join(f".{name} = {value}u" for name, value in asdict(config.alarm).items())
    return [
        f"    .anomaly = NANO_TRAIN_{config.anomaly.upper()},",
        f"    .alarm = {{{numbers}}},",
    ]


def _recipe(recipe: Recipe) -> list[str]:
    names = ("rate", "momentum", "weight_decay", "beta1", "beta2", "epsilon", "clip", "gamma")
    real = [f".{name} = {text.float_literal(np.float32(getattr(recipe, name)))}" for name in names]
    whole = [f".{name} = {getattr(recipe, name)}u" for name in ("warmup", "period", "batch")]
    schedule = f".schedule = NANO_TRAIN_{recipe.schedule.upper()}"
    return [
        "    .recipe = {",
        f"        {', '.join(real[:4])},",
        f"        {', '.join(real[4:])},",
        f"        {', '.join((schedule, *whole))},",
        "    },",
    ]
