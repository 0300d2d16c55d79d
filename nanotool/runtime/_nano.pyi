"""The compiled extension; see nanotool/runtime/build.py. cffi objects have no static types."""

from typing import Any

ffi: Any
lib: Any
