"""Against a checkout of ESP-IDF, where NANO_IDF names one: its Kconfig, its linker fragments, its
headers. Nothing is linked or run: compilers for these chips, with a C library, are not here.

    NANO_IDF=~/esp/esp-idf pytest tests/python/test_real_idf.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from idf import ROOT, Idf

CHECKOUT = os.environ.get("NANO_IDF", "")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="NANO_IDF names no checkout of ESP-IDF")
SOURCES = (
    *sorted((ROOT / "firmware" / "boards" / "esp32").glob("*.c")),
    *sorted((ROOT / "lib" / "nano" / "idf").glob("*.c")),
)
FLAGS = (
    *("-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'firmware'}"),
    *(f"-I{ROOT / 'lib' / 'nano' / part}" for part in ("include", "idf")),
    f"-I{ROOT / 'firmware' / 'boards' / 'bare' / 'include'}",
)
MHZ = {"esp32": 240, "esp32s2": 240, "esp32s3": 240, "esp32c2": 120, "esp32c3": 160}
MHZ |= {"esp32c5": 240, "esp32c6": 160, "esp32c61": 160, "esp32h2": 96}  # P4: as its revision


def chips() -> list[str]:
    """Those of the checkout that are no preview."""
    if not CHECKOUT:
        return ["esp32", "esp32s3", "esp32c3", "esp32c6"]
    found = sorted(path.parent.name for path in Path(CHECKOUT).glob("components/soc/*/include"))
    return [chip for chip in found if chip in MHZ or chip == "esp32p4"]


@pytest.fixture(params=chips())
def idf(request: pytest.FixtureRequest) -> Idf:
    return Idf(Path(CHECKOUT).resolve(), request.param)


def defaults(chip: str) -> list[Path]:
    paths = (ROOT / "sdkconfig.defaults", ROOT / f"sdkconfig.defaults.{chip}")
    return [path for path in paths if path.is_file()]


def test_the_firmware(idf: Idf, tmp_path: Path) -> None:
    """sdkconfig.defaults is what the chip has, and every source compiles with what it comes to."""
    config = idf.kconfig(defaults(idf.chip), tmp_path)
    assert config["ESP_DEFAULT_CPU_FREQ_MHZ"] == MHZ.get(
        idf.chip, config["ESP_DEFAULT_CPU_FREQ_MHZ"]
    )
    assert config["ESPTOOLPY_FLASHMODE_QIO"] and config["ESPTOOLPY_FLASHSIZE"] == "4MB"
    fastest = {"esp32c2": "60m", "esp32h2": "64m"}.get(idf.chip, "80m")
    assert config["ESPTOOLPY_FLASHFREQ"] in {fastest, "48m"}
    assert config["COMPILER_OPTIMIZATION_PERF"] and config["NANO_GOAL_SPEED"]
    for source in SOURCES:
        assert idf.compile(source, tmp_path, *FLAGS) == ""


def test_the_kernels_that_the_chip_has(idf: Idf, tmp_path: Path) -> None:
    """By its own headers, the core's and its coprocessors'."""
    wanted = {"esp32": "!NANO_PIE && NANO_MAC16", "esp32s3": "NANO_PIE && NANO_MAC16"}
    condition = wanted.get(idf.chip, "!NANO_PIE && !NANO_MAC16")
    source = tmp_path / "chosen.c"
    source.write_text(f"#include <nano/config.h>\n#if !({condition})\n#error\n#endif\nint a;\n")
    headers = Path(CHECKOUT).resolve() / "components" / "xtensa" / idf.chip / "include"
    assert idf.compile(source, tmp_path, *FLAGS, f"-isystem{headers}") == ""


@pytest.mark.parametrize("place", ["PARTITION", "PSRAM"])
def test_weights_from_a_partition(idf: Idf, place: str, tmp_path: Path) -> None:
    more = tmp_path / "more.defaults"
    more.write_text(f"CONFIG_SPIRAM=y\nCONFIG_NANO_WEIGHTS_{place}=y\nCONFIG_NANO_TASK_CORE_0=y\n")
    if place == "PSRAM" and idf.chip not in {
        "esp32",
        "esp32s2",
        "esp32s3",
        "esp32c5",
        "esp32c61",
        "esp32p4",
    }:
        pytest.skip(f"no {idf.chip} has PSRAM")
    if place == "PARTITION":
        more.write_text(more.read_text().replace("CONFIG_SPIRAM=y\n", ""))
    config = idf.kconfig([*defaults(idf.chip), more], tmp_path)
    assert config[f"NANO_WEIGHTS_{place}"] and config["NANO_PARTITION"] == "model"
    for source in SOURCES:
        assert idf.compile(source, tmp_path, *FLAGS) == ""
