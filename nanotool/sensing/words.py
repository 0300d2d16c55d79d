"""What a model senses with and decides, in words for people."""

from __future__ import annotations

from nanotool.ir import QGraph
from nanotool.sensing.description import CameraSettings
from nanotool.sensing.rule import frames_of, step_seconds, stream_of


def senses(graph: QGraph) -> list[tuple[str, str]]:
    """(name, value) pairs of the stream or camera of ``graph``; none where it has neither."""
    if graph.camera is not None:
        return _looks(graph.camera)
    return [] if graph.stream is None else _hears(graph)


def _hears(graph: QGraph) -> list[tuple[str, str]]:
    stream = stream_of(graph)
    ears, rule = stream.front_end, stream.rule
    way = "votes" if rule.vote else "mean"
    channels = f" of {ears.values} channels" if ears.values > 1 else ""
    heard = (
        f"{ears.sample_rate:,} samples a second{channels}: {ears.features} features of "
        f"{ears.window} sample{'s' * (ears.window > 1)}, every {ears.step}"
    )
    step = f"{frames_of(graph)} frames, every {1000 * float(step_seconds(stream)):g} ms"
    decides = [
        f"{_name(graph, one.index)}: {way} of {rule.window} steps above {one.threshold:g}, then "
        f"not for {one.refractory:g} s"
        for one in rule.classes
    ]
    return [("hears", heard), ("step", step), *(("decides", one) for one in decides)]


def _name(graph: QGraph, index: int) -> str:
    return graph.labels[index] if index < len(graph.labels) else f"class {index}"


def _looks(camera: CameraSettings) -> list[tuple[str, str]]:
    left, top, width, height = camera.window
    frame = f"{camera.width} x {camera.height} {camera.format}"
    picture = f"{camera.out_width} x {camera.out_height} x {camera.channels}"
    return [
        ("camera", f"{frame}, of it {width} x {height} at {left}, {top}"),
        ("picture", f"{picture}, by {camera.resize}"),
    ]
