"""SCons builder of the native stand-in: the compiler from PATH."""

import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
sys.path.insert(0, str(Path(env.PioPlatform().get_dir()).resolve().parents[1]))
from toolchain import use_toolchain  # noqa: E402

use_toolchain(env, prefix="", package="gcc")
env.Replace(PROGSUFFIX="", SIZETOOL=None)

program = env.BuildProgram()
run = env.VerboseAction('"$SOURCE" $PROGRAM_ARGS', "Running")
AlwaysBuild(env.Alias("exec", program, run))
AlwaysBuild(env.Alias("size", program, env.VerboseAction("size $SOURCES", "Calculating size")))
Default(env.Alias("buildprog", program, program))
