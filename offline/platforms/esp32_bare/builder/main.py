"""SCons builder of the bare ESP32: firmware.elf, and firmware.bin, which belongs into the flash at
0x1000: the image that the ROM loads, then the weights if they stay in the flash."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from elftools.elf.elffile import ELFFile
from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
sys.path.insert(0, str(Path(env.PioPlatform().get_dir()).resolve().parents[1]))
from toolchain import use_bare_board  # noqa: E402

IMAGE_OFFSET = 0x1000  # in the flash, as in link.ld
ESPTOOL = [sys.executable, "-m", "esptool", "--chip", "esp32"]


def fail(message):
    """End the build with one line."""
    sys.stderr.write(f"error: {message}\n")
    env.Exit(1)


def weights_place():
    """Where the weights are at run time: "dram" or "flash"."""
    place = os.environ.get("NANO_WEIGHTS") or env.GetProjectOption("custom_weights", "dram")
    if place not in ("dram", "flash"):
        fail(f"custom_weights or NANO_WEIGHTS is {place!r}: it must be dram or flash.")
    return place


def need_esptool():
    """Say what is missing before Python does."""
    if importlib.util.find_spec("esptool") is None:
        fail("esptool is not installed for this Python: pip install esptool.")


def flash_part(program):
    """The weights as they lie in the flash, and where; None if the ROM loads them with the rest."""
    with program.open("rb") as file:
        elf = ELFFile(file)
        section = elf.get_section_by_name(".weights")
        if section is None or not section.data_size:
            return None
        symbols = elf.get_section_by_name(".symtab")
        offset = symbols.get_symbol_by_name("__weights_offset")[0]["st_value"]
        return offset, section.data()


def make_image(target, source, env):
    """firmware.elf -> firmware.bin."""
    need_esptool()
    program, image = Path(str(source[0])), Path(str(target[0]))
    loaded = image.with_suffix(".loaded.elf")  # what the ROM copies into RAM
    strip = [env.subst("$OBJCOPY"), "--remove-section=.weights", "--strip-debug", program, loaded]
    subprocess.run(strip, check=True)
    settings = ["--flash-mode", "dio", "--flash-freq", "40m", "--flash-size", "4MB"]
    convert = [*ESPTOOL, "elf2image", *settings, "--output", image, loaded]
    done = subprocess.run(convert, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(f"esptool cannot make an image of {program}:\n{done.stdout}{done.stderr}")
    part = flash_part(program)
    if part is not None:
        offset, weights = part
        code = image.read_bytes()
        image.write_bytes(code.ljust(offset - IMAGE_OFFSET, b"\xff") + weights)


def upload_image(target, source, env):
    """Write firmware.bin to the board's flash."""
    need_esptool()
    port = env.subst("$UPLOAD_PORT")
    speed = env.subst("$UPLOAD_SPEED") or "460800"
    command = [*ESPTOOL, *(["--port", port] if port else []), "--baud", speed]
    return subprocess.call([*command, "write-flash", hex(IMAGE_OFFSET), str(source[0])])


use_bare_board(env)
board = Path(env.subst("$PROJECT_SRC_DIR")) / "boards" / "esp32_bare"
script = board / f"weights_{weights_place()}" / "weights.ld"
env.Append(LINKFLAGS=[f"-L{script.parent}"])

program = env.BuildProgram()
env.Depends(program, [str(script), str(board / "link.ld")])
image = env.Command(
    "$BUILD_DIR/${PROGNAME}.bin", program, env.VerboseAction(make_image, "Building $TARGET")
)

size = env.Alias("size", program, env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE"))
upload = env.Alias("upload", image, env.VerboseAction(upload_image, "Uploading $SOURCE"))
AlwaysBuild(size)
AlwaysBuild(upload)
AlwaysBuild(env.Alias("nobuild", image))
Default(env.Alias("buildprog", image, image), size)
