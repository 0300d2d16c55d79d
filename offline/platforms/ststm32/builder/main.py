"""SCons builder of the ststm32 stand-in: a build without a framework, as the platform itself does
it, with arm-none-eabi-gcc from PATH. Uploads with OpenOCD from PATH and an ST-Link."""

import shutil
import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
sys.path.insert(0, str(Path(env.PioPlatform().get_dir()).resolve().parents[1]))
from toolchain import use_toolchain  # noqa: E402

use_toolchain(env, prefix="arm-none-eabi-", package="gcc-arm-none-eabi")


def need_openocd(target, source, env):
    """Say what is missing before the shell does."""
    if shutil.which("openocd", path=env["ENV"]["PATH"]) is None:
        sys.stderr.write("error: openocd is not on PATH. Install it: apt install openocd.\n")
        env.Exit(1)


cpu = f"-mcpu={env.BoardConfig().get('build.cpu')}"
env.Append(
    ASFLAGS=["-mthumb", cpu],
    ASPPFLAGS=["-x", "assembler-with-cpp"],
    CCFLAGS=["-Os", "-ffunction-sections", "-fdata-sections", "-Wall", "-mthumb", cpu],
    LINKFLAGS=["-Os", "-Wl,--gc-sections,--relax", "-mthumb", cpu],
    LIBS=["gcc"],
)
env.Replace(
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
    SIZEPROGREGEXP=r"^(?:\.text|\.data|\.ARM\.exidx)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.stack)\s+(\d+).*",
    UPLOADER="openocd",
    UPLOADCMD="$UPLOADER -f interface/stlink.cfg -f target/stm32f4x.cfg "
    '-c "program {$SOURCE} verify reset exit"',
)

program = env.BuildProgram()
image = env.Command(
    "$BUILD_DIR/${PROGNAME}.bin",
    program,
    env.VerboseAction("$OBJCOPY -O binary $SOURCE $TARGET", "Building $TARGET"),
)
env.Depends(image, "checkprogsize")

size = env.Alias("size", program, env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE"))
upload_steps = [need_openocd, env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE")]
upload = env.Alias("upload", program, upload_steps)
AlwaysBuild(size)
AlwaysBuild(upload)
AlwaysBuild(env.Alias("nobuild", program))
Default(env.Alias("buildprog", image, image), size)
