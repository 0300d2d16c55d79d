"""NAME_camera.h and NAME_camera.c: what a camera's pictures are made of (nano/signal/camera.h)."""

from __future__ import annotations

from nanotool.backends.c.tables import initializer, static_arrays
from nanotool.ir import QTensor
from nanotool.sensing.description import CameraSettings
from nanotool.signal.camera import camera_struct


def declaration(camera: CameraSettings, name: str) -> list[str]:
    """The body of NAME_camera.h."""
    macro = name.upper()
    return [
        f'#include "{name}.h"',
        '#include "nano/signal/camera.h"',
        "",
        "/* Of a frame: pixels of a line, lines, bytes of a line. */",
        f"#define {macro}_CAMERA_WIDTH {camera.width}u",
        f"#define {macro}_CAMERA_HEIGHT {camera.height}u",
        f"#define {macro}_CAMERA_PITCH {camera.pitch}u",
        "",
        "/* Bytes of arena that it takes, beside the model's. */",
        f"#define {macro}_CAMERA_ARENA_SIZE NANO_CAMERA_ROOM({camera.out_width}u, "
        f"{camera.channels}u)",
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
    ]


def definition(camera: CameraSettings, tensor: QTensor, name: str) -> list[str]:
    """The body of NAME_camera.c; ``tensor`` is the model's input."""
    struct, called = camera_struct(camera, tensor), f"{name}_camera"
    return [
        f'#include "{name}_camera.h"',
        "",
        *static_arrays(struct, called),
        f"const nano_camera_params {called} = {initializer(struct, called)};",
    ]
