"""Programs that torch.export has saved (.pt2), read without running anything in them.

`torch.export.load` trusts its file: it unpickles sample inputs, tensors of subclasses and custom
objects with full powers, loads compiled libraries (data/aotinductor), evaluates the expressions of
free sizes with sympy, imports modules that tree specs name, and makes Python source of the names of
nodes. Here the archive is taken apart first. What a plain program consists of is checked, piece by
piece, against what torch itself would have written, and only that goes on to torch, in a new
archive; for everything else the user has to say that the file is trusted.
"""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nanotool.errors import NanoError

TRUST = (
    "If you trust whoever made it: --trust (nanotool.quantize: trust=True). Or save it again from "
    "its module, with plain tensors as example inputs."
)
SAVE = "Save it with torch.export.save(torch.export.export(model.eval(), (example,)), path)."

# The layout since torch 2.8, below one folder of any name, and the one before it.
_PLAIN = {"archive_format", "archive_version", "byteorder", ".data/version", ".format_version"}
_CONFIGS = {
    "data/weights/model_weights_config.json": "weight_",
    "data/constants/model_constants_config.json": "tensor_",
}
_PICKLES = {
    "data/sample_inputs/model.pt": "sample inputs",
    "data/weights/model.pt": "weights",
    "data/constants/model.pt": "constants",
    "serialized_example_inputs.pt": "sample inputs",
    "serialized_state_dict.pt": "weights",
    "serialized_constants.pt": "constants",
}
_PROGRAMS = {"models/model.json", "serialized_exported_program.json"}
_PAYLOAD = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_LEFT_OUT = re.compile(r"extra/.*|extra_files/.*|\.data/serialization_id|.*/")

# Strings of a program. Names become Python source, targets are looked up in torch.
_NAME = re.compile(r"[A-Za-z_]\w*|")
_TARGET = re.compile(
    r"torch\.ops\.[A-Za-z]\w*\.\w+(\.\w+)?|torch\.sym_\w+|_operator\.\w+|math\.\w+"
)
_WORD = re.compile(r"[\w.+:-]*")
_NAMES = {"name", "as_name", "forward_arg_names"}
_PATHS = {"parameter_name", "buffer_name", "tensor_constant_name", "fqn"}  # of modules
_TEXTS = {"as_string", "as_strings", "nn_module_stack"}
_DROPPED: Mapping[str, Any] = {"guards_code": [], "treespec_namedtuple_fields": {}}
_TREES = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}

# Expressions: calls of these, of names, numbers, and operators between them.
_FUNCTIONS = {
    *("Symbol", "Integer", "Float", "Rational", "Mul", "Add", "Pow", "Max", "Min", "Mod", "Abs"),
    *("floor", "ceiling", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "And"),
    *("StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", "Or", "Not", "FloorDiv"),
    *("ModularIndexing", "Where", "PythonMod", "CleanDiv", "CeilToInt", "FloorToInt", "CeilDiv"),
    *("LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv", "Identity"),
    *("TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat"),
}
_SYNTAX = (
    *(ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.BinOp),
    *(ast.UnaryOp, ast.Compare, ast.operator, ast.unaryop, ast.cmpop),
)
_LONGEST = 2000  # characters of an expression


def load_program(path: Path, *, trust: bool = False) -> torch.export.ExportedProgram:
    """The program in the .pt2 file ``path``.

    Raises `NanoError` where it is none that this torch can load, or where reading it would run code
    that it brings and ``trust`` does not say that this is wanted.
    """
    try:
        content = path.read_bytes()
        with _quiet():
            program: torch.export.ExportedProgram = torch.export.load(
                io.BytesIO(content if trust else _plain_archive(content))
            )
    except _Untrusted as error:
        raise NanoError(
            f"{path} holds {error}: reading that can run any code, so it is refused.", TRUST
        ) from error
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        reason = str(error).strip().splitlines()
        raise NanoError(
            f"{path} is no program that this torch can load: {(reason or [''])[0][:200]}", SAVE
        ) from error
    return program


class _Untrusted(Exception):
    """Something that only a trusted file may hold."""


@contextmanager
def _quiet() -> Iterator[None]:
    """torch logs whole tracebacks of what it then raises."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


# --- The archive ----------------------------------------------------------------------------------


def _plain_archive(content: bytes) -> bytes:
    """An archive of what ``content`` has of a plain program, every piece checked."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in _checked(_members(content)):
            archive.writestr(name, data)
    return made.getvalue()


def _members(content: bytes) -> dict[str, bytes]:
    """The files of an archive as torch writes it: each once, none compressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if len({member.filename for member in members}) != len(members):
            raise ValueError("the archive has two files of one name")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("the archive is compressed, which torch's are not")
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("the archive's files are larger than it")
        return {member.filename: archive.read(member) for member in members}


def _checked(members: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the new archive."""
    old = "serialized_exported_program.json" in members
    for full, data in members.items():
        name = full if old else full.partition("/")[2]
        if name in _PROGRAMS:
            yield full, json.dumps(_program(json.loads(data))).encode()
        elif name in _CONFIGS:
            yield full, json.dumps(_payloads(json.loads(data), _CONFIGS[name])).encode()
        elif name in _PICKLES:
            _check_pickle(data, _PICKLES[name])
            yield full, data
        elif name in _PLAIN or _PAYLOAD.fullmatch(name) or (old and name == "version"):
            yield full, data
        elif name.startswith("data/aotinductor/"):
            raise _Untrusted("compiled machine code")
        elif re.match(r"data/constants/(custom|opaque)_obj_", name):
            raise _Untrusted("custom objects")
        elif not _LEFT_OUT.fullmatch(name):
            raise _Untrusted(f"something unknown ({printable(name)})")


def _check_pickle(data: bytes, what: str) -> None:
    """`_Untrusted` unless torch's reader of plain tensors takes ``data``."""
    if not data:
        return
    # Older formats (tar, bare pickles) had holes even there (CVE-2025-32434).
    if not data.startswith(b"PK\x03\x04"):
        raise _Untrusted(f"{what} in an old format")
    try:
        torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise _Untrusted(f"{what} that are pickled Python objects, not plain tensors") from error


def _payloads(config: Any, prefix: str) -> Any:
    """A list of tensors, each in a file of its own as plain numbers."""
    for meta in config["config"].values():
        if meta.get("use_pickle") is not False:
            raise _Untrusted("pickled tensors")
        if not re.fullmatch(rf"{prefix}\d+", meta["path_name"]):
            raise _Untrusted("custom objects")
    return _walked(config, "path_name")


# --- The program ----------------------------------------------------------------------------------


def _program(value: Any) -> Any:
    """A program's JSON, without what is not needed; `_Untrusted` where a string in it is not of the
    kind that torch writes there."""
    return _walked(value, "")


def _walked(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return _walked_object(value, key)
    if isinstance(value, list):
        return [_walked(item, key) for item in value]
    if isinstance(value, str):
        _check_string(value, key)
    return value


def _walked_object(value: dict[str, Any], key: str) -> dict[str, Any]:
    if key == "metadata":  # of a node: where it comes from, and much that would be evaluated
        value = {k: v for k, v in value.items() if k == "nn_module_stack"}
    for name in value:
        if not _is_path(name):
            raise _Untrusted(f"an unusual name ({printable(name)})")
    return {k: _DROPPED[k] if k in _DROPPED else _walked(v, k) for k, v in value.items()}


def _check_string(text: str, key: str) -> None:
    if key == "expr_str":
        _check_expression(text)
        return
    if key in {"in_spec", "out_spec"}:
        protocol, tree = json.loads(text)
        fine = protocol == 1 and _is_tree(tree)
    elif key in _NAMES:
        fine = _NAME.fullmatch(text) is not None
    elif key in {"target", "as_operator"}:
        fine = _TARGET.fullmatch(text) is not None and "__" not in text
    elif key in _PATHS:
        fine = _is_path(text)
    elif key in _TEXTS:
        fine = text.isprintable()
    else:
        fine = _WORD.fullmatch(text) is not None
    if not fine:
        raise _Untrusted(f"an unusual {key or 'text'} ({printable(text)})")


def _is_path(text: str) -> bool:
    return text.isprintable() and not set(text) & set("\"'\\`")


def _is_tree(tree: Any) -> bool:
    """Whether a tree spec is made of tuples, lists and dictionaries with plain keys."""
    context = json.loads(tree["context"] or "null")
    keys = context if isinstance(context, list) else []
    return (
        tree["type"] in _TREES
        and (context is None or isinstance(context, list))
        and all(isinstance(key, int) or (isinstance(key, str) and _is_name(key)) for key in keys)
        and all(_is_tree(child) for child in tree["children_spec"])
    )


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _check_expression(text: str) -> None:
    """`_Untrusted` unless ``text`` is a formula over sizes: sympy evaluates it as Python."""
    if len(text) > _LONGEST or not all(map(_is_formula, ast.walk(ast.parse(text, mode="eval")))):
        raise _Untrusted(f"an unusual expression ({printable(text)})")


def _is_formula(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
    if isinstance(node, ast.Constant):
        kinds = (int, float, bool, type(None))
        return isinstance(node.value, kinds) or (
            isinstance(node.value, str)
            and re.fullmatch(r"[A-Za-z]\w*|[\d.]+", node.value) is not None
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return isinstance(node.right, ast.Constant) and node.right.value in range(9)
    if isinstance(node, ast.Name):
        return "__" not in node.id
    return isinstance(node, _SYNTAX)


def printable(text: str) -> str:
    """``text`` as a message may quote it."""
    return ascii(text[:60])
