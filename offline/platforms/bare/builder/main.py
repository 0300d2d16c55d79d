"""SCons builder for boards that only emulators have. The environment in platformio.ini says which
compiler (custom_toolchain, custom_toolchain_package); the board's folder has the linker script."""

import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
sys.path.insert(0, str(Path(env.PioPlatform().get_dir()).resolve().parents[1]))
from toolchain import use_bare_board  # noqa: E402

use_bare_board(env)

program = env.BuildProgram()
size = env.Alias("size", program, env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE"))
AlwaysBuild(size)
AlwaysBuild(env.Alias("nobuild", program))
Default(env.Alias("buildprog", program, program), size)
