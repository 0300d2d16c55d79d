"""The conversation that the MLPerf Tiny runner holds, to the letter."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from nanotool import bench, simulate
from nanotool.build import BuildResult

CHUNK = 20  # bytes in one `db` line, so that it stays under 95 characters


def say(dut: Any, command: str, *lines: str) -> list[str]:
    """Send `command`; its answer must be `lines` (regular expressions), each ended by CR LF,
    then `m-ready`, and nothing else. The groups that matched."""
    dut.write(command + "%")
    answer = dut.expect(re.compile(rb"^(.*?)m-ready\r\n", re.S), timeout=60).group(1).decode()
    match = re.fullmatch("".join(line + "\r\n" for line in lines), answer)
    assert match, f"{command[:40]}: {answer!r}"
    return list(match.groups())


def test_the_runners_conversation(dut: Any, firmware: BuildResult) -> None:
    graph = firmware.graph
    x = bench.bench_inputs(graph)[0]
    say(dut, "name", r"m-name-dut-\[nano\]")
    say(
        dut,
        "profile",
        r"m-profile-\[ULPMark for tinyML Firmware V0\.0\.1\]",
        rf"m-model-\[{graph.name}\]",
    )
    (begin,) = say(dut, "timestamp", r"m-lap-us-(\d+)")
    say(dut, f"db load {x.size}", rf"m-\[Expecting {x.size} bytes\]")
    raw = x.tobytes()
    for offset in range(0, len(raw), CHUNK):
        chunk = raw[offset : offset + CHUNK]
        done = [r"m-load-done"] if offset + CHUNK >= len(raw) else []
        say(dut, f"db {chunk.hex()}", *done)
    numbers = r"(-?\d+\.\d{3}(?:,-?\d+\.\d{3})*)"
    first, last, printed = say(
        dut,
        "infer 3 1",
        "m-warmup-start-1",
        "m-warmup-done",
        "m-infer-start-3",
        r"m-lap-us-(\d+)",
        r"m-lap-us-(\d+)",
        "m-infer-done",
        rf"m-results-\[{numbers}\]",
    )
    assert int(begin) <= int(first) <= int(last)
    (again,) = say(dut, "results", rf"m-results-\[{numbers}\]")
    assert again == printed
    expected = graph.output_tensor.dequantize(simulate.simulate(graph, x[None])).reshape(-1)
    told = [float(number) for number in printed.split(",")]
    np.testing.assert_allclose(told, expected, atol=0.00051)


def test_the_default_warm_up_is_ten(dut: Any, firmware: BuildResult) -> None:
    size = firmware.graph.input_tensor.size
    say(dut, f"db load {size}", rf"m-\[Expecting {size} bytes\]")
    for offset in range(0, size, CHUNK):
        last = offset + CHUNK >= size
        say(dut, f"db {'00' * min(CHUNK, size - offset)}", *[r"m-load-done"] * last)
    lines = (r"m-warmup-start-10", r"m-warmup-done", r"m-infer-start-1", r"m-lap-us-\d+")
    say(dut, "infer 1", *lines, r"m-lap-us-\d+", "m-infer-done", r"m-results-\[.*\]")


def test_the_loaded_bytes_are_printed(dut: Any, firmware: BuildResult) -> None:
    size = firmware.graph.input_tensor.size
    raw = bytes(index % 251 for index in range(size))
    say(dut, f"db load {size}", rf"m-\[Expecting {size} bytes\]")
    for offset in range(0, size, CHUNK):
        last = offset + CHUNK >= size
        # Digits beyond the last byte are ignored.
        text = raw[offset : offset + CHUNK].hex() + ("ff" if last else "")
        say(dut, f"db {text}", *[r"m-load-done"] * last)
    lines = [
        "m-buffer-" + "-".join(f"{byte:02x}" for byte in raw[offset : offset + 8])
        for offset in range(0, size, 8)
    ]
    say(dut, "db print", *lines)


def test_help_names_every_command(dut: Any) -> None:
    dut.write("help%")
    answer = dut.expect(re.compile(rb"^(.*?)m-ready\r\n", re.S), timeout=10).group(1).decode()
    commands = "name profile timestamp help db infer results info mem layers dump crc reset"
    for command in commands.split():
        assert re.search(rf"\b{command}\b", answer), command
