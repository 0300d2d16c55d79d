"""C out: a lowered and planned model as a folder of C sources that read well."""

from nanotool.backends.c.emit import export, export_several, sources
from nanotool.backends.c.folder import MARK, check_replaceable, exported_for, is_model_folder

__all__ = [
    "MARK",
    "check_replaceable",
    "export",
    "export_several",
    "exported_for",
    "is_model_folder",
    "sources",
]
