"""What the default model's firmware may take of an STM32."""

from __future__ import annotations

import pytest

from nanotool.bench import bench_inputs
from nanotool.boards import STM32
from nanotool.build import BuildResult
from nanotool.device import Device
from nanotool.sources import firmware_dir

CODE_BYTES = 20_000
ARENA_BYTES = 8_000
OTHER_RAM_BYTES = 4_096  # beyond arena and input buffer, the reserved stack included


@pytest.fixture
def default_on_stm32(firmware: BuildResult, pytestconfig: pytest.Config) -> BuildResult:
    if firmware.board is not STM32:
        pytest.skip("the budget is that of an STM32")
    if pytestconfig.getoption("--model") != firmware_dir() / "models" / "default":
        pytest.skip("the budget is that of the default model")
    return firmware


def test_flash_and_arena(default_on_stm32: BuildResult) -> None:
    assert default_on_stm32.sizes.code_bytes <= CODE_BYTES
    assert default_on_stm32.plan.arena_size <= ARENA_BYTES


def test_ram_beyond_the_model(device: Device, default_on_stm32: BuildResult) -> None:
    device.run(bench_inputs(default_on_stm32.graph)[0])
    memory = device.mem()
    sizes = default_on_stm32.sizes
    assert sizes.ram_bytes - memory.arena - memory.db + memory.stack <= OTHER_RAM_BYTES
    assert memory.stack_peak < memory.stack
