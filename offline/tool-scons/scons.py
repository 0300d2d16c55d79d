"""Stands in for PlatformIO's package tool-scons: runs the SCons that pip installed."""

from SCons.Script import main

main()
