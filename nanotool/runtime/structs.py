"""C structs filled from `nanotool.ir.Struct` values, in this process's memory."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from nanotool.errors import InvalidModel
from nanotool.ir import Array, Struct, Value

CData: TypeAlias = Any  # cffi objects have no static types


class Structs:
    """Makes C objects that live as long as this one does."""

    def __init__(self, ffi: Any) -> None:
        self._ffi = ffi
        self._keep: list[Any] = []  # what C points to

    def new(self, ctype: str, value: Any) -> CData:
        """A C object with cffi's initializer ``value``."""
        made = self._ffi.new(ctype, value)
        self._keep.append(made)
        return made

    def of(self, struct: Struct) -> CData:
        """A pointer to ``struct`` in C. InvalidModel if its fields are not the C struct's."""
        return self.new(f"{struct.ctype} *", self._fields(struct))

    def _fields(self, struct: Struct) -> dict[str, Any]:
        """``struct`` as cffi's initializer; its fields must be the C struct's, in order."""
        declared = self._ffi.typeof(struct.ctype).fields
        names = [name for name, _ in declared]
        if [name for name, _ in struct.fields] != names:
            raise InvalidModel(
                f"{struct.ctype} has the fields {', '.join(names)}.",
                "nanotool and the headers of lib/nano belong together: use both from one version.",
            )
        types = {name: field.type for name, field in declared}
        return {name: self._value(value, types[name]) for name, value in struct.fields}

    def _value(self, value: Value, ctype: CData) -> Any:
        if isinstance(value, Struct):
            return self._fields(value)
        if isinstance(value, Array):
            wanted = ctype.item.cname.removeprefix("const ").removesuffix("_t")
            if value.data.dtype.name != wanted:
                raise InvalidModel(f"{value.name} is {value.data.dtype}, not {wanted}.")
            view = self._ffi.from_buffer(f"{wanted}_t[]", np.ascontiguousarray(value.data))
            self._keep.append(view)
            return view
        if value is None:
            return self._ffi.NULL
        return list(value) if isinstance(value, tuple) else value
