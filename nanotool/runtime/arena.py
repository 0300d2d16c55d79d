"""Memory for the C library in this process."""

from __future__ import annotations

from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

# An arena's bytes live as long as the nano_arena that points to them.
_BYTES: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def new_arena(extension: ModuleType, size: int) -> Any:
    """A `nano_arena *` over ``size`` bytes of its own, aligned to NANO_ALIGN.

    ``extension``: what `nanotool.runtime.load` gives. Nets in the arena must keep it.
    """
    ffi, lib = extension.ffi, extension.lib
    align = int(lib.NANO_ALIGN)
    room = ffi.new("uint8_t[]", max(size, 1) + align - 1)
    arena = ffi.new("nano_arena *")
    base = room + -int(ffi.cast("uintptr_t", room)) % align
    status = lib.nano_arena_init(arena, base, size)
    assert status == lib.NANO_OK
    _BYTES[arena] = room
    return arena
