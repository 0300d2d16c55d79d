"""NAME_camera.h and NAME_camera.c: what a camera's pictures are made of (nano/signal/camera.h)."""

from __future__ import annotations

from pathlib import Path

from nanotool.backends.c.tables import initializer, static_arrays
from nanotool.files import write_atomic
from nanotool.identifiers import model_identifier
from nanotool.ir import QGraph, QTensor
from nanotool.signal.camera import CameraSettings, camera_struct


def export_camera(settings: CameraSettings, graph: QGraph, folder: Path) -> tuple[Path, Path]:
    """Write NAME_camera.h and NAME_camera.c beside the exported model ``graph``, whose input the
    pictures are. `NanoError` if they do not fit it."""
    name = model_identifier(graph.name)
    paths = folder / f"{name}_camera.h", folder / f"{name}_camera.c"
    for path, content in zip(paths, camera_c(settings, graph.input_tensor, name), strict=True):
        write_atomic(path, content)
    return paths


def camera_c(settings: CameraSettings, tensor: QTensor, name: str) -> tuple[str, str]:
    """(NAME_camera.h, NAME_camera.c) for the model ``name`` whose input is ``tensor``."""
    struct, macro, guard = camera_struct(settings, tensor), name.upper(), f"{name.upper()}_CAMERA_H"
    left, top, width, height = settings.window
    told = (
        f"{settings.width} x {settings.height} {settings.format}, of it {width} x {height} at "
        f"{left}, {top}, {settings.resize} to {settings.out_height} x {settings.out_width} x "
        f"{settings.channels}"
    )
    header = [
        f"/* {name}_camera.h - {told}. Made by nanotool. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        '#include "nano/signal/camera.h"',
        "",
        "/* Bytes of arena that it takes. */",
        f"#define {macro}_CAMERA_ARENA_SIZE NANO_CAMERA_ROOM({settings.out_width}u, "
        f"{settings.channels}u)",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"extern const nano_camera_params {name}_camera;",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
    ]
    source = [
        f"/* {name}_camera.c - see {name}_camera.h. Made by nanotool. */",
        f'#include "{name}_camera.h"',
        "",
        *static_arrays(struct, f"{name}_camera"),
        f"const nano_camera_params {name}_camera = {initializer(struct, f'{name}_camera')};",
    ]
    return "\n".join(header) + "\n", "\n".join(source) + "\n"
