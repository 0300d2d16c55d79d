"""A page that writes a firmware to an ESP32 through Web Serial: nothing to install or to fetch.

What speaks to the chip is Espressif's own esptool-js, as npm has it; this page brings the bytes.
"""

from __future__ import annotations

import base64
import hashlib
import zlib

from nanotool.boards import BOARDS, Board
from nanotool.build import BuildResult
from nanotool.datasets.packages import Package, fetch
from nanotool.errors import NanoError
from nanotool.esp_image import flash_parts
from nanotool.page.render import as_json, template
from nanotool.version import __version__

ESPTOOL = Package(
    registry="npm",
    name="esptool-js",
    version="0.7.0",
    members="package/bundle.js",
    sha256="00ebe6fb0b202976d3e2a3c6b9a6bd438c26a81d2af6739c95ac276a64c1a84e",
)


def check_web_flashable(board: Board) -> None:
    """`NanoError` where a browser cannot flash ``board``."""
    if not board.esp_chip:
        can = ", ".join(name for name, other in sorted(BOARDS.items()) if other.esp_chip)
        raise NanoError(
            f"A browser flashes the ESP32s only, through their bootloader; {board.name} is "
            f"{board.title}.",
            f"Boards: {can}. Others: `nanotool flash` without --web.",
        )


def render_flasher(built: BuildResult) -> str:
    """The page, about 600 KB. `NanoError` where ``built`` is for no ESP32, or where esptool-js is
    neither in the cache nor to be had from npm."""
    check_web_flashable(built.board)
    parts = flash_parts(built.elf.parent, built.board.esp_chip)
    (script,) = fetch(ESPTOOL).values()
    facts = {
        "board": built.board.title,
        "chip": built.board.esp_chip,
        "models": [model.graph.name for model in built.models],
        "baud": built.board.baud,
        "version": __version__,
        "esptool": ESPTOOL.version,
        "parts": [
            {
                "name": part.name,
                "address": part.address,
                "bytes": len(part.data),
                # By its CRC the script finds the MD5 that the chip has to answer.
                "crc": f"{zlib.crc32(part.data):08x}",
                "md5": hashlib.md5(part.data, usedforsecurity=False).hexdigest(),
                "data": base64.b64encode(part.data).decode("ascii"),
            }
            for part in parts
        ],
    }
    return template("flash.html.j2").render(
        facts=facts,
        json=as_json(facts),
        esptool=base64.b64encode(script).decode("ascii"),
    )
