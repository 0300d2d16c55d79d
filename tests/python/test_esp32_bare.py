"""The bare ESP32's image without a board: header, segments, checksum, memory map, budget.

What the ROM does with an image is ESP32 Technical Reference Manual 1.3 and esptool's documentation
of the image format; both are written down here once more, apart from link.ld and from the builder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from nanotool import elf
from nanotool.boards import ESP32_BARE, NATIVE
from nanotool.build import BuildResult, build
from nanotool.device import open_board
from nanotool.errors import MissingTool, NanoError
from nanotool.fit import DoesNotFit
from nanotool.report import budgets
from nanotool.sources import firmware_dir, project_dir

pytestmark = pytest.mark.skipif(
    shutil.which("xtensa-lx106-elf-gcc") is None or importlib.util.find_spec("esptool") is None,
    reason="xtensa-lx106-elf-gcc or esptool is not installed",
)

# Where an ESP32 has memory that neither the ROM nor a cache uses (start, end).
IRAM = (0x40080400, 0x400A0000)
DRAM = (0x3FFB0000, 0x3FFE0000)
DRAM2 = (0x3FFE4400, 0x40000000)
DROM = (0x3F400000, 0x3F800000)

IMAGE_OFFSET = 0x1000  # in the flash
IMAGE_BYTES = 20 * 1024  # without weights
OTHER_RAM_BYTES = 6 * 1024  # data and stack, beyond arena and input buffer; code is in IRAM
MODEL = firmware_dir() / "models" / "default" / "model.nano"


@pytest.fixture(scope="module", params=ESP32_BARE.weights)
def built(request: pytest.FixtureRequest) -> BuildResult:
    place: str = request.param
    return build(MODEL, ESP32_BARE, weights=place)


def within(address: int, size: int, *regions: tuple[int, int]) -> bool:
    return any(start <= address and address + size <= end for start, end in regions)


def sections(path: Path) -> Iterator[tuple[str, int, bytes, int]]:
    """Name, address, stored bytes (none for .bss) and size of what takes memory."""
    with path.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if section["sh_flags"] & elf.SHF_ALLOC and section["sh_size"]:
                stored = b"" if section["sh_type"] == "SHT_NOBITS" else bytes(section.data())
                yield section.name, section["sh_addr"], stored, section["sh_size"]


def constant(path: Path, name: str) -> int:
    return next(s.address for s in elf.symbols(path) if s.name == name)


def segments(image: bytes) -> tuple[int, list[tuple[int, bytes]], int]:
    """Entry point, (address, bytes) of each segment, and the offset behind the last one."""
    magic, count, mode, size_speed, entry = struct.unpack_from("<BBBBI", image)
    assert (magic, mode, size_speed) == (0xE9, 2, 0x20)  # DIO, 4 MB at 40 MHz
    (chip,) = struct.unpack_from("<H", image, 12)
    assert chip == 0  # ESP32
    offset, found = 24, []
    for _ in range(count):
        address, size = struct.unpack_from("<II", image, offset)
        found.append((address, image[offset + 8 : offset + 8 + size]))
        assert len(found[-1][1]) == size
        offset += 8 + size
    return entry, found, offset


def test_nothing_lies_outside_its_memory(built: BuildResult) -> None:
    place = {
        ".text": (IRAM,),
        ".data": (DRAM,),
        ".stack": (DRAM,),
        ".bss": (DRAM2,),
        ".weights": (DROM,),
    }
    names = set()
    for name, address, _, size in sections(built.elf):
        assert within(address, size, *place[name]), name
        names.add(name)
    assert names == set(place) - ({".weights"} if built.weights == "dram" else set())


def test_instruction_memory_holds_no_data(built: BuildResult) -> None:
    """Loads of bytes from there fault on silicon; code and its literals are read as words."""
    symbols = elf.symbols(built.elf)
    in_iram = [s.name for s in symbols if s.kind == "object" and within(s.address, s.size, IRAM)]
    assert in_iram == []
    assert sum(s.kind == "object" for s in symbols) > 10
    functions = [s for s in symbols if s.kind == "function" and s.size]
    assert functions
    assert all(within(s.address, s.size, IRAM) for s in functions)


def test_weights_are_where_they_should_be(built: BuildResult) -> None:
    symbols = elf.weight_symbols(built.elf, built.lowered)
    assert symbols
    region = DRAM if built.weights == "dram" else DROM
    for symbol in symbols.values():
        assert within(symbol.address, symbol.size, region), symbol.name
    if built.weights == "dram":
        assert constant(built.elf, "__weights_pages") == 0


def test_entry_and_vectors(built: BuildResult) -> None:
    with built.elf.open("rb") as file:
        entry = ELFFile(file).header["e_entry"]
    assert within(entry, 3, IRAM)
    vectors = constant(built.elf, "vectors")
    assert vectors % 1024 == 0
    assert within(vectors, 0x400, IRAM)


def test_the_image_is_what_the_rom_loads(built: BuildResult) -> None:
    assert built.image is not None
    image = built.image.read_bytes()
    entry, loaded, end = segments(image)
    with built.elf.open("rb") as file:
        assert entry == ELFFile(file).header["e_entry"]
    memory = dict(loaded)
    assert all(within(address, len(content), IRAM, DRAM) for address, content in loaded)
    stored = {a: content for name, a, content, _ in sections(built.elf) if name != ".weights"}
    for address, content in stored.items():
        if content:
            padded = memory.pop(address)
            assert padded[: len(content)] == content
            assert len(padded) - len(content) < 4
    assert memory == {}
    checksum_at = end | 15  # the last byte of a line of 16
    xor = reduce(lambda x, y: x ^ y, b"".join(content for _, content in loaded), 0xEF)
    assert image[checksum_at] == xor


def test_esptool_finds_it_valid(built: BuildResult) -> None:
    command = [sys.executable, "-m", "esptool", "--chip", "esp32", "image-info", str(built.image)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    words = done.stdout.lower()
    assert "checksum" in words
    assert words.count("(valid)") == 2  # checksum and hash
    assert "invalid" not in words
    assert "flash size: 4mb" in words


def test_weights_in_flash_are_those_that_get_mapped(built: BuildResult) -> None:
    assert built.image is not None
    image = built.image.read_bytes()
    _, _, end = segments(image)
    if built.weights == "dram":
        assert len(image) <= (end | 15) + 1 + 32  # nothing behind checksum and hash
        return
    page, pages = constant(built.elf, "__weights_page"), constant(built.elf, "__weights_pages")
    offset = page * 0x10000 - IMAGE_OFFSET
    assert end < offset
    address, content = next((a, c) for n, a, c, _ in sections(built.elf) if n == ".weights")
    assert address == DROM[0]
    assert image[offset:] == content
    assert (pages - 1) * 0x10000 < len(content) <= pages * 0x10000


def test_budget(built: BuildResult) -> None:
    """The smallest firmware for an ESP32 stays one."""
    assert built.image is not None
    _, loaded, _ = segments(built.image.read_bytes())
    in_image = sum(len(content) for _, content in loaded)
    weights = built.sizes.weight_bytes
    assert in_image - (weights if built.weights == "dram" else 0) <= IMAGE_BYTES
    flash, ram = budgets(built)
    assert (flash.available, ram.available) == (4 << 20, 520 << 10)
    assert flash.used == built.sizes.flash_bytes
    parts = dict(ram.parts)
    assert parts["weights"] == (weights if built.weights == "dram" else 0)
    assert parts["rest"] + parts["stack"] <= OTHER_RAM_BYTES
    assert parts["arena"] == built.plan.arena_size
    assert ram.used == sum(size for name, _, _, size in sections(built.elf) if name != ".weights")


def test_weights_beyond_dram_say_the_way_out() -> None:
    with pytest.raises(DoesNotFit) as caught:
        build(Path(__file__).parents[1] / "models" / "ad.tflite", ESP32_BARE, weights="dram")
    assert "--weights flash" in str(caught.value.hint)


def platformio(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`pio run -e esp32_bare`, built in `folder`."""
    places = {
        "PLATFORMIO_BUILD_DIR": str(folder / "build"),
        "PLATFORMIO_WORKSPACE_DIR": str(folder),
    }
    return subprocess.run(
        [sys.executable, "-m", "platformio", "run", "-e", "esp32_bare", "-d", str(project_dir())],
        env={**os.environ, **places, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_pll_is_a_build_option(built: BuildResult, tmp_path: Path) -> None:
    """It compiles and links. No board has run it, and no emulator could."""
    done = platformio(tmp_path, PLATFORMIO_BUILD_FLAGS="-DNANO_CPU_MHZ=240")
    assert done.returncode == 0, done.stdout + done.stderr
    fast = {s.name for s in elf.symbols(tmp_path / "build" / "esp32_bare" / "firmware.elf")}
    usual = {s.name for s in elf.symbols(built.elf)}
    assert fast - usual >= {"rom_i2c_write", "pll_480"}


def test_the_environment_is_honoured_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANO_WEIGHTS", "flash")
    assert build(MODEL, ESP32_BARE).weights == "flash"
    assert build(MODEL, NATIVE).weights == ""  # has them there anyway
    with pytest.raises(NanoError, match="asked for in 'dram', and NANO_WEIGHTS says 'flash'"):
        build(MODEL, ESP32_BARE, weights="dram")
    monkeypatch.setenv("NANO_WEIGHTS", "attic")
    with pytest.raises(NanoError, match="cannot have its weights in 'attic'"):
        build(MODEL, ESP32_BARE)
    monkeypatch.setenv("NANO_WEIGHTS", "dram")
    with pytest.raises(NanoError, match="cannot have its weights in 'dram'"):
        build(MODEL, NATIVE)


def test_a_wrong_place_is_refused(tmp_path: Path) -> None:
    done = platformio(tmp_path, NANO_WEIGHTS="attic")
    assert done.returncode != 0
    assert "'attic': it must be dram or flash" in done.stdout + done.stderr


def test_without_an_emulator_it_says_so(
    built: BuildResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QEMU_ESP32", raising=False)
    with pytest.raises(MissingTool, match="QEMU_ESP32"), open_board(ESP32_BARE, built.elf):
        pass


def test_the_emulator_gets_a_whole_flash(
    built: BuildResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for Espressif's QEMU keeps what it is given."""
    program = tmp_path / "qemu"
    program.write_text(
        f"#!{sys.executable}\n"
        "import re, shutil, sys, time\n"
        "flash = re.search(r'file=([^,]+)', ' '.join(sys.argv)).group(1)\n"
        f"shutil.copy(flash, {str(tmp_path / 'flash.bin')!r})\n"
        "print('char device redirected to /dev/pts/none (label serial0)', flush=True)\n"
        "time.sleep(60)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("QEMU_ESP32", str(program))
    with open_board(ESP32_BARE, built.elf) as port:
        assert port == "/dev/pts/none"
    flash = (tmp_path / "flash.bin").read_bytes()
    assert built.image is not None
    image = built.image.read_bytes()
    assert len(flash) == 4 << 20
    assert flash[:IMAGE_OFFSET] == b"\xff" * IMAGE_OFFSET
    assert flash[IMAGE_OFFSET : IMAGE_OFFSET + len(image)] == image
    assert set(flash[IMAGE_OFFSET + len(image) :]) == {0xFF}
