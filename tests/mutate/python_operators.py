"""Mutants of Python: comparisons, arithmetic, constants, conditions, statements, arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .mutant import Mutant, edited

_COMPARE: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
_BINARY: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "+"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "*"), ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"), ast.BitAnd: ("&", "|"), ast.BitXor: ("^", "&"),
    ast.Pow: ("**", "*"),
}  # fmt: skip
# `|` joins types as well as numbers: left alone.


class _Finder:
    """Walks a module and notes the mutants of what it computes."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.found: list[Mutant] = []

    def _offset(self, line: int, column: int) -> int:
        # ast counts bytes of UTF-8.
        begin = self.starts[line - 1]
        whole = self.text[begin : self.starts[line]]
        return begin + len(whole.encode()[:column].decode())

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno, node.end_col_offset),
        )

    def _add(self, span: tuple[int, int], new: str, operator: str) -> None:
        self.found.append(edited(self.path, self.text, span, new, operator))

    def _between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> None:
        """Exchange the operator between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        at = self.text.find(old, start, end)
        if at >= 0:
            self._add((at, at + len(old)), new, "operator")

    def walk(self, node: ast.AST) -> None:
        """Note the mutants below ``node``."""
        if isinstance(node, (ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Raise)):
            return  # what is said of an error is no computation
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if default is not None:
                    self.walk(default)
            self._body(node.body)
            return
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.walk(node.value)
            return
        if isinstance(node, ast.ClassDef):
            self._body(node.body)
            return
        self._here(node)
        for child in ast.iter_child_nodes(node):
            self.walk(child)

    def _body(self, body: list[ast.stmt]) -> None:
        for child in body:
            self.walk(child)

    def _here(self, node: ast.AST) -> None:
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for i, op in enumerate(node.ops):
                self._between(operands[i], operands[i + 1], *_COMPARE[type(op)])
        elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            if not isinstance(node.left, ast.Constant) or not isinstance(node.left.value, str):
                self._between(node.left, node.right, *_BINARY[type(node.op)])
        elif isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            self._between(node.values[0], node.values[1], old, new)
        elif isinstance(node, ast.Constant):
            self._constant(node)
        elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
            span = self._span(node.test)
            inside = self.text[span[0] : span[1]]
            self._add(span, f"(not ({inside}))", "negated condition")
        elif isinstance(node, (ast.Expr, ast.AugAssign, ast.Continue, ast.Break)):
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                self._add(self._span(node), "pass", "dropped statement")
        elif isinstance(node, ast.Call):
            self._call(node)

    def _constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._add(self._span(node), str(not node.value), "constant")
        elif isinstance(node.value, int):
            self._add(self._span(node), str(node.value + 1), "constant")
        elif isinstance(node.value, float):
            self._add(self._span(node), repr(node.value * 2 + 1.0), "constant")

    def _call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in {"max", "min", "zip"}:
            return
        plain = [a for a in node.args[:2] if not isinstance(a, ast.Starred)]
        if len(plain) < 2 or len(node.args) > len(plain) + 2:
            return
        (a, b), (c, d) = self._span(plain[0]), self._span(plain[1])
        one, two = self.text[a:b], self.text[c:d]
        if one != two and not isinstance(plain[0], ast.JoinedStr):
            self._add((a, d), two + self.text[b:c] + one, "swapped arguments")


def mutants(path: str, text: str) -> Iterator[Mutant]:
    """All of one module."""
    finder = _Finder(path, text)
    finder.walk(ast.parse(text))
    yield from finder.found
