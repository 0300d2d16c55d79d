"""A page that flashes an ESP32, in a real browser, with a bootloader that is not."""

from __future__ import annotations

import base64
import hashlib
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from handmade import GraphBuilder
from playwright.sync_api import Browser, Page, sync_playwright

from nanotool import esp_image
from nanotool.boards import BOARDS
from nanotool.build import BuildResult, build
from nanotool.errors import NanoError
from nanotool.page.flasher import check_web_flashable, render_flasher

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ROM = (Path(__file__).parent / "fake_rom.js").read_text("utf-8")


@pytest.fixture(scope="module")
def built() -> BuildResult:
    b = GraphBuilder("tiny", (6,))
    b.dense("fc", 3)
    return build(b.graph(), BOARDS["esp32_bare"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    yield page
    page.close()


def md5(text: str) -> list[int]:
    return list(hashlib.md5(base64.b64decode(text)).digest())


def begin(page: Page, folder: Path, built: BuildResult, chip: str = "") -> None:
    """Open the page and press the button; ``chip``: a script that makes the bootloader another."""
    page.expose_function("md5Of", md5)
    page.add_init_script(ROM + chip)
    (folder / "flash.html").write_text(render_flasher(built))
    page.goto((folder / "flash.html").as_uri())


def write(page: Page) -> None:
    page.get_by_role("button", name="Choose the port").click()


def test_the_whole_firmware_is_written(page: Page, tmp_path: Path, built: BuildResult) -> None:
    begin(page, tmp_path, built)
    page.get_by_role("checkbox").check()
    write(page)
    page.get_by_text("Written and checked: ESP32").wait_for()
    (part,) = esp_image.flash_parts(built.elf.parent, "esp32")
    assert part.address == 0x1000
    assert page.evaluate("rom.spans") == [[0x1000, len(part.data)]]
    end = 0x1000 + len(part.data)
    written = page.evaluate(f"btoa(String.fromCharCode(...rom.flash.slice(0x1000, {end})))")
    assert base64.b64decode(written) == part.data
    assert page.evaluate("rom.erased")


def test_a_flash_that_keeps_another_bit(page: Page, tmp_path: Path, built: BuildResult) -> None:
    begin(page, tmp_path, built, "rom.badBit = 3;")
    write(page)
    page.get_by_text("MD5 of file does not match").first.wait_for()
    assert not page.get_by_text("Written and checked").is_visible()


def test_another_chip_is_left_alone(page: Page, tmp_path: Path, built: BuildResult) -> None:
    begin(page, tmp_path, built, "rom.magic = 0x000007C6;")  # an ESP32-S2
    write(page)
    page.get_by_text("Nothing was written").wait_for()
    assert page.evaluate("rom.spans") == [] and not page.evaluate("rom.erased")


def test_no_web_serial(page: Page, tmp_path: Path, built: BuildResult) -> None:
    (tmp_path / "flash.html").write_text(render_flasher(built))
    page.add_init_script("delete Navigator.prototype.serial")
    page.goto((tmp_path / "flash.html").as_uri())
    page.get_by_text("This browser has no Web Serial").wait_for()
    assert page.get_by_role("button", name="Choose the port").is_disabled()


# --- Without a browser ----------------------------------------------------------------------------


def test_only_an_esp32_is_flashed_so() -> None:
    with pytest.raises(NanoError, match=r"stm32 is .*esp32, esp32_bare, esp32c3, esp32s3"):
        check_web_flashable(BOARDS["stm32"])


def entry(kind: int, offset: int) -> bytes:
    return struct.pack("<HBBII16sI", 0x50AA, kind, 0, offset, 0x1000, b"x", 0)


def test_parts_of_esp_idf(tmp_path: Path) -> None:
    """Bootloader where the chip looks for it, the application where the table says."""
    (tmp_path / "firmware.bin").write_bytes(b"\xe9app")
    (tmp_path / "bootloader.bin").write_bytes(b"\xe9boot")
    table = entry(1, 0x9000) + entry(0, 0x20000) + entry(0, 0x120000) + b"\xff" * 64
    (tmp_path / "partitions.bin").write_bytes(table)
    parts = esp_image.flash_parts(tmp_path, "esp32s3")
    assert [(part.name, part.address) for part in parts] == [
        *(("bootloader.bin", 0), ("partitions.bin", 0x8000), ("firmware.bin", 0x20000)),
    ]
    assert parts[0].data == b"\xe9boot\xff\xff\xff"
    assert esp_image.flash_parts(tmp_path, "esp32")[0].address == 0x1000
    (tmp_path / "partitions.bin").write_bytes(entry(1, 0x9000) + b"\xff" * 32)
    with pytest.raises(NanoError, match="no application"):
        esp_image.flash_parts(tmp_path, "esp32")
    (tmp_path / "firmware.bin").write_bytes(b"app")
    with pytest.raises(NanoError, match=r"firmware\.bin is no image"):
        esp_image.flash_parts(tmp_path, "esp32")
