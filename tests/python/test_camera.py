"""Pictures from a camera's lines: C, twin, float reference, PyTorch's resize, the C files."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from handmade import GraphBuilder
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_graphs import examples

import nanotool
from nanotool.api import QuantizedModel
from nanotool.cli.common import load_inputs
from nanotool.errors import InvalidModel, NanoError
from nanotool.inputs import to_device
from nanotool.qfile import graph_hash
from nanotool.sensing.description import FORMATS, CameraSettings
from nanotool.sensing.words import senses
from nanotool.signal.camera import Camera, camera_reference, encode
from nanotool.signal.transform import CameraTransform
from nanotool.sources import lib_dir
from nanotool.validate import validate


@st.composite
def settings(draw: Any) -> CameraSettings:
    size = st.integers(1, 40)
    width, height = draw(size), draw(size)
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    crop = (left, top, draw(st.integers(1, width - left)), draw(st.integers(1, height - top)))
    return CameraSettings(
        width,
        height,
        draw(size),
        draw(size),
        format=draw(st.sampled_from(sorted(FORMATS))),
        channels=draw(st.sampled_from([1, 3])),
        crop=draw(st.sampled_from([None, crop])),
        resize=draw(st.sampled_from(["box", "bilinear"])),
    )


@examples(80)
@given(settings(), st.integers(0, 2**16))
def test_engines_agree_and_are_near_the_reference(settings: CameraSettings, seed: int) -> None:
    """Half a brightness of rounding, and for bilinear places in parts of 256 of a pixel."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (3, settings.height, settings.pitch)).astype(np.uint8)
    frames[1] = 255
    c = Camera(settings).process(frames)
    np.testing.assert_array_equal(c, Camera(settings, engine="numpy").process(frames))
    most = 0.5 if settings.resize == "box" else 1.5
    assert np.abs(c - camera_reference(settings, frames)).max() <= most + 1e-9
    assert (c[1] == 255).all()


def test_the_resizes_are_the_fields() -> None:
    """PyTorch's bilinear (half-pixel centres), and its areas where they divide the picture."""
    picture = np.random.default_rng(0).integers(0, 256, (1, 24, 36, 3)).astype(np.uint8)
    x = torch.from_numpy(picture.astype(np.float32)).permute(0, 3, 1, 2)
    rgb = CameraSettings(36, 24, 18, 8, format="rgb888", channels=3)
    cases = (
        (rgb, torch.nn.functional.adaptive_avg_pool2d(x, (8, 18))),
        (
            replace(rgb, resize="bilinear", out_width=50, out_height=11),
            torch.nn.functional.interpolate(x, (11, 50), mode="bilinear"),
        ),
    )
    for chosen, wanted in cases:
        made = Camera(chosen).process(encode(chosen, picture)).transpose(0, 3, 1, 2)
        assert np.abs(made - wanted.numpy()).max() < 1.5


def test_formats() -> None:
    """Pure colours through each format, and what grey is of them."""
    colours = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]]], np.uint8)
    for name in ("rgb565", "rgb565be", "rgb888"):
        chosen = CameraSettings(4, 1, 4, 1, format=name, channels=3)
        np.testing.assert_array_equal(Camera(chosen).process(encode(chosen, colours)), colours)
        grey = Camera(replace(chosen, channels=1)).process(encode(chosen, colours))
        assert grey.reshape(-1).tolist() == [77, 149, 29, 255]
    be = CameraSettings(1, 1, 1, 1, format="rgb565be", channels=3)
    assert encode(be, np.array([[[[8, 0, 0]]]], np.uint8)).tolist() == [[[8, 0]]]


def model() -> QuantizedModel:
    builder = GraphBuilder("looks", (6, 5, 1))
    builder.flatten("flat")
    builder.dense("fc", 3)
    return QuantizedModel(builder.graph())


LOOK = CameraSettings(16, 12, 5, 6, format="rgb565", crop=(2, 1, 11, 10), mean=(0.4,), std=(1.5,))


def test_training_sees_what_the_model_is_given() -> None:
    graph = model().graph
    pictures = torch.from_numpy(
        np.random.default_rng(1).integers(0, 256, (4, 3, 12, 16)).astype(np.uint8)
    )
    real = CameraTransform(LOOK)(pictures)
    frames = encode(LOOK, pictures.permute(0, 2, 3, 1).numpy())
    on_device = Camera(LOOK, graph.input_tensor).process(frames)
    assert on_device.dtype == np.int8 and len(np.unique(on_device)) > 20
    order = real.permute(0, 2, 3, 1).contiguous().numpy()  # handmade graphs take H, W, C
    np.testing.assert_array_equal(on_device, to_device(graph, order).reshape(on_device.shape))


PROGRAM = """
#include <stdio.h>
#include "looks_camera.h"

static nano_camera camera;
static int there;

static void on_line(const uint8_t *line) { /* what a driver calls */
    if (nano_camera_line(&camera, line))
        there = 1;
}

int main(void) {
    NANO_ALIGNED static uint8_t bytes[LOOKS_ARENA_SIZE + LOOKS_CAMERA_ARENA_SIZE];
    static uint8_t frame[LOOKS_CAMERA_HEIGHT][LOOKS_CAMERA_PITCH];
    static int8_t input[LOOKS_INPUT_SIZE];
    nano_arena arena;
    nano_net net;
    nano_arena_init(&arena, bytes, sizeof bytes);
    if (nano_init(&net, &looks_model, &arena) != NANO_OK ||
        nano_camera_init(&camera, &looks_camera, &arena) != NANO_OK ||
        fread(frame, sizeof frame, 1, stdin) != 1)
        return 1;
    nano_camera_begin(&camera, input);
    for (size_t i = 0; i < LOOKS_CAMERA_HEIGHT; i++)
        on_line(frame[i]);
    fwrite(input, 1, sizeof input, stdout);
    for (int again = 0; again < 2; again++) {
        if (nano_camera_run(&camera, &net, frame[0], LOOKS_CAMERA_PITCH) != NANO_OK)
            return 2;
        fwrite(nano_output(&net), 1, LOOKS_OUTPUT_SIZE, stdout);
    }
    return there ? 0 : 3;
}
"""


def looking() -> QuantizedModel:
    return QuantizedModel(replace(model().graph, camera=LOOK))


def frames(count: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (count, *LOOK.frame)).astype(np.uint8)


def test_exported(tmp_path: Path) -> None:
    """By lines as a driver's callback, and by whole frames: the bytes that Python computes."""
    looks, src = looking(), lib_dir() / "src"
    looks.export(tmp_path / "model")
    (tmp_path / "main.c").write_text(PROGRAM)
    parts = ("*.c", "signal/camera*.c", "ops/dense/*.c", "ops/conv2d/tile*.c")
    sources = {path for part in (*parts, "ops/conv2d/windows*.c") for path in src.glob(part)}
    sources.remove(src / "sequential.c")  # it names every operator
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=undefined"]
    command = ["gcc", *flags, f"-I{lib_dir() / 'include'}", "-Imodel", "main.c"]
    made = ["model/looks.c", "model/looks_weights.c", "model/looks_camera.c"]
    command += [*made, *map(str, sorted(sources)), "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    frame = frames(1)
    got = subprocess.run(
        [tmp_path / "main"], input=frame.tobytes(), capture_output=True, check=True
    )
    picture, answer = Camera(LOOK, looks.graph.input_tensor).process(frame), looks.run(frame)
    assert got.stdout == picture.tobytes() + 2 * answer.tobytes()


def test_the_model_keeps_it_and_takes_frames(tmp_path: Path) -> None:
    """In the .nano file and its hash; frames as arrays, and as a file of their bytes."""
    looks, path = looking(), tmp_path / "looks.nano"
    looks.save(path)
    kept = nanotool.load(path)
    assert kept.graph.camera == LOOK and graph_hash(kept.graph) != graph_hash(model().graph)
    assert dict(senses(kept.graph))["camera"] == "16 x 12 rgb565, of it 11 x 10 at 2, 1"
    pictures = Camera(LOOK, looks.graph.input_tensor).process(frames())
    np.testing.assert_array_equal(kept.run(frames()), model().run(pictures))
    (tmp_path / "frames.raw").write_bytes(frames().tobytes())
    np.save(tmp_path / "frames.npy", frames())
    for name in ("frames.raw", "frames.npy"):
        (x,), _ = load_inputs(kept.graph, tmp_path / name)
        np.testing.assert_array_equal(x, pictures)
    (tmp_path / "short.raw").write_bytes(frames().tobytes()[:-1])
    with pytest.raises(NanoError, match=r"1,151 bytes, which are not whole frames of 384"):
        load_inputs(kept.graph, tmp_path / "short.raw")
    with pytest.raises(NanoError, match=r"has shape 12x32; looks takes .* frames uint8 N x 12x32"):
        kept.run(frames()[0])


def test_a_camera_fits_its_model() -> None:
    for wrong in (replace(LOOK, out_width=6), replace(LOOK, channels=3)):
        with pytest.raises(InvalidModel, match="the camera's picture is"):
            validate(replace(model().graph, camera=wrong))
    with pytest.raises(NanoError, match="is no mean"):
        replace(LOOK, mean=(float("inf"),))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crop": (0, 0, 17, 12)}, "no part of"),
        ({"crop": (3, 0, 0, 12)}, "no part of"),
        ({"channels": 2}, "2 channels"),
        ({"mean": (0.1, 0.2)}, "2 means"),
        ({"std": (0.0,)}, "not positive"),
        ({"format": "yuv"}, "no format"),
        ({"out_width": 0}, "not 1 to 8192"),
    ],
)
def test_what_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(NanoError, match=message):
        replace(LOOK, **wrong)


def test_pictures_of_another_kind() -> None:
    with pytest.raises(NanoError, match="Frames are uint8"):
        Camera(LOOK).process(np.zeros((12, 16), np.uint8))
    with pytest.raises(NanoError, match="The model takes"):
        Camera(replace(LOOK, out_width=6), model().graph.input_tensor)
