"""The formula language: text -> a checked function of a node's tensors and attributes.

A formula is an expression in a small part of Python's syntax. `ast` parses it; every node of the tree is then either
turned into a closure or refused with its column, and nothing is ever run by Python itself. What each part stands for (a
number, a tensor, a list of dims, ...) is known when the formula is read: a misuse is found in the file, not in a model.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from effaudit import dims
from effaudit.dims import Dim
from effaudit.operators import evaluation
from effaudit.operators.evaluation import Scope

MAX_TEXT: Final = 2000  # characters
MAX_PARTS: Final = 400
MAX_DEPTH: Final = 60
MAX_INT: Final = 2**63

NUMBER: Final = "a number"
TRUTH: Final = "a condition"
TENSOR: Final = "a tensor"
TENSORS: Final = "a list of tensors"
DIMS: Final = "a list of numbers"
ATTRIBUTE: Final = "an attribute"
TEXT: Final = "a text"

FUNCTIONS: Final = ("numel", "rank", "len", "bytes", "min", "max", "ceildiv")
ALLOWED: Final = (
    "whole numbers, + - * // %, ( ), comparisons, and, or, not, a if condition else b, "
    f"{', '.join(f + '()' for f in FUNCTIONS)}, name[i], name[i:j], attrs.name, attrs.get('name', default)"
)

_MEASURES: Final[Mapping[str, Mapping[str, Callable[[Any, str], Dim]]]] = {
    "numel": {
        TENSOR: evaluation.numel,
        TENSORS: evaluation.numel_of_all,
        DIMS: evaluation.product,
        ATTRIBUTE: evaluation.product_of_list,
    },
    "rank": {TENSOR: evaluation.rank},
    "len": {
        TENSOR: evaluation.rank,
        TENSORS: evaluation.length,
        DIMS: evaluation.length,
        ATTRIBUTE: evaluation.length,
    },
    "bytes": {TENSOR: evaluation.nbytes, TENSORS: evaluation.nbytes_of_all},
}
_ARITHMETIC: Final[Mapping[str, Callable[..., Dim]]] = {
    "min": dims.minimum,
    "max": dims.maximum,
    "ceildiv": evaluation.ceildiv,
}
_OPERATORS: Final[Mapping[type[ast.operator], Callable[[Dim, Dim], Dim]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: evaluation.multiply,
    ast.FloorDiv: evaluation.floordiv,
    ast.Mod: evaluation.modulo,
}
_HINTS: Final[Mapping[type[ast.operator], str]] = {
    ast.Div: "; // divides whole numbers",
    ast.Pow: "; write x * x for x ** 2",
}
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: evaluation.same,
    ast.NotEq: evaluation.different,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class FormulaError(ValueError):
    """A formula that cannot be read; the message begins with the column."""


class Names(msgspec.Struct, frozen=True):
    """The names a formula may use: of tensors, and of lists of tensors."""

    tensors: frozenset[str]
    groups: frozenset[str] = frozenset()


class Part(NamedTuple):
    """A checked part of a formula: what it stands for, its function, its text for messages, and where it stands."""

    kind: str
    of: Callable[[Scope], Any]
    text: str
    node: ast.expr


def count(text: str | int, names: Names) -> Callable[[Scope], Dim]:
    """A formula whose result is a number. Raises FormulaError."""
    compiler = _Compiler(names)
    return compiler.number(_parsed(str(text))).of


def shape(text: str | int, names: Names) -> Callable[[Scope], tuple[Dim, ...]]:
    """A formula whose result is a list of dims, such as `(x[0], w[1])` or `(*x[:-1], 4)`. Raises FormulaError."""
    compiler = _Compiler(names)
    part = compiler.part(_parsed(str(text)))
    if part.kind != DIMS:
        raise FormulaError(f"column 1: {part.text} is {part.kind}; a list of dims is expected, such as (x[0], 8)")
    return part.of


def entry(text: str | int, names: Names) -> Callable[[Scope], tuple[Dim, ...]]:
    """One entry of a list of dims: a number, or `*` and a list of dims. Raises FormulaError."""
    stated = str(text).strip()
    if stated.startswith("*"):
        compiler = _Compiler(names)
        return _as_dims(compiler.part(_parsed(stated[1:]))).of
    one = count(text, names)
    return lambda scope: (one(scope),)


def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_TEXT:
        raise FormulaError(f"column {MAX_TEXT + 1}: longer than {MAX_TEXT:,} characters; refused")
    line = " ".join(text.split("\n")).strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(line, mode="eval").body
    except SyntaxError as error:
        what = f"not understood ({error.msg})" if line else "it is empty"
        raise FormulaError(f"column {max(error.offset or 1, 1)}: {what}; allowed: {ALLOWED}") from None
    except (ValueError, RecursionError, MemoryError):
        raise FormulaError("column 1: nested too deeply, or no text; refused") from None


class _Compiler:
    """Turns the tree of one formula into closures, within `MAX_PARTS` and `MAX_DEPTH`."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.parts = 0
        self.depth = 0

    def part(self, node: ast.expr) -> Part:
        self.parts += 1
        self.depth += 1
        if self.parts > MAX_PARTS or self.depth > MAX_DEPTH:
            _refuse(node, f"more than {MAX_PARTS} parts, or more than {MAX_DEPTH} within each other; refused")
        make = _PARTS.get(type(node))
        if make is None:
            _refuse(node, f"{_text(node)} is not allowed; allowed: {ALLOWED}")
        kind, of = make(self, node)
        self.depth -= 1
        return Part(kind, of, _text(node), node)

    def number(self, node: ast.expr) -> Part:
        return _as_number(self.part(node))

    def truth(self, node: ast.expr) -> Callable[[Scope], bool]:
        return _as_truth(self.part(node))

    # ---- one method per piece of syntax; each returns what it stands for and its function
    def constant(self, node: ast.Constant) -> tuple[str, Callable[[Scope], Any]]:
        value = node.value
        if type(value) is str:
            return TEXT, lambda s: value
        if type(value) is not int:
            hints = {
                float: "; numbers are whole: 3 * x // 2 for 1.5 * x",
                type(None): "; a name alone asks if it is given",
            }
            _refuse(node, f"{_text(node)} is not allowed{hints.get(type(value), '')}")
        if value >= MAX_INT:
            _refuse(node, "a number past 2^63")
        return NUMBER, lambda s: value

    def name(self, node: ast.Name) -> tuple[str, Callable[[Scope], Any]]:
        name = node.id
        if name in self.names.tensors:
            return TENSOR, lambda s: s.tensors[name]
        if name in self.names.groups:
            return TENSORS, lambda s: s.groups[name]
        known = ", ".join((*sorted(self.names.tensors | self.names.groups), "attrs.NAME"))
        return _refuse(node, f"unknown name {_text(node)}; known: {known}")

    def attribute(self, node: ast.Attribute) -> tuple[str, Callable[[Scope], Any]]:
        key = node.attr
        if not (isinstance(node.value, ast.Name) and node.value.id == "attrs"):
            _refuse(node, f"{_text(node)} is not allowed; attributes of the node are read as attrs.name")
        if key == "get":
            _refuse(node, "attrs.get is called: attrs.get('name', default)")
        return ATTRIBUTE, lambda s: evaluation.attribute(s.attrs.get(key), key)

    def call(self, node: ast.Call) -> tuple[str, Callable[[Scope], Any]]:
        name, arguments = _text(node.func), node.args
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in arguments):
            _refuse(node, f"{name} takes plain arguments")
        if name == "attrs.get":
            return self.default(node)
        if name not in FUNCTIONS:
            _refuse(node, f"unknown function {name}; known: {', '.join(FUNCTIONS)}")
        wanted = 2 if name == "ceildiv" else 1
        if len(arguments) < wanted or (len(arguments) > wanted and name not in ("min", "max")):
            _refuse(node, f"{name}() takes {wanted} argument{'s' * (wanted > 1)}, not {len(arguments)}")
        if name in _MEASURES:
            return self.measure(name, arguments[0])
        parts = [self.number(argument).of for argument in arguments]
        apply = _ARITHMETIC[name]
        return NUMBER, lambda s: apply(*(part(s) for part in parts))

    def default(self, node: ast.Call) -> tuple[str, Callable[[Scope], Any]]:
        """attrs.get('name', default); without a default the node must have the attribute."""
        if not 1 <= len(node.args) <= 2:
            _refuse(node, "written attrs.get('name', default)")
        key = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        if not isinstance(key, str):
            _refuse(node.args[0], "the name of an attribute is a text in quotes")
        default = _literal(node.args[1]) if len(node.args) == 2 else None
        return ATTRIBUTE, lambda s: evaluation.attribute(s.attrs.get(key, default), key)

    def measure(self, name: str, argument: ast.expr) -> tuple[str, Callable[[Scope], Any]]:
        """numel, rank, len and bytes."""
        part = self.part(argument)
        apply = _MEASURES[name].get(part.kind)
        if apply is None:
            _refuse(argument, f"{name}() takes {' or '.join(_MEASURES[name])}; {part.text} is {part.kind}")
        return NUMBER, lambda s: apply(part.of(s), part.text)

    def subscript(self, node: ast.Subscript) -> tuple[str, Callable[[Scope], Any]]:
        base = self.part(node.value)
        if base.kind not in (TENSOR, TENSORS, DIMS, ATTRIBUTE):
            _refuse(node, f"{base.text} is {base.kind} and has no parts")
        items = _as_dims(base).of if base.kind == TENSOR else base.of
        within = DIMS if base.kind == TENSOR else base.kind
        text = base.text
        if isinstance(node.slice, ast.Slice):
            if node.slice.step is not None:
                _refuse(node, "a slice has no step: name[i:j]")
            start, stop = (
                _none if end is None else self.number(end).of for end in (node.slice.lower, node.slice.upper)
            )
            return within, lambda s: evaluation.part(items(s), start(s), stop(s), text)
        index = self.number(node.slice).of
        if within == TENSORS:
            return TENSOR, lambda s: evaluation.member(items(s), index(s), text)
        kind = ATTRIBUTE if within == ATTRIBUTE else NUMBER
        return kind, lambda s: evaluation.item(items(s), index(s), text)

    def listed(self, node: ast.Tuple | ast.List) -> tuple[str, Callable[[Scope], Any]]:
        """Numbers in parentheses; `*x[1:]` puts a list of dims in its place."""
        entries = [
            _as_dims(self.part(e.value)).of if isinstance(e, ast.Starred) else _alone(self.number(e).of)
            for e in node.elts
        ]
        return DIMS, lambda s: tuple(dim for dims_of in entries for dim in dims_of(s))

    def binary(self, node: ast.BinOp) -> tuple[str, Callable[[Scope], Any]]:
        apply = _OPERATORS.get(type(node.op))
        if apply is None:
            _refuse(node, f"{_text(node)}: this operator is not allowed{_HINTS.get(type(node.op), '')}")
        left, right = self.number(node.left).of, self.number(node.right).of
        return NUMBER, lambda s: apply(left(s), right(s))

    def unary(self, node: ast.UnaryOp) -> tuple[str, Callable[[Scope], Any]]:
        if isinstance(node.op, ast.Not):
            truth = self.truth(node.operand)
            return TRUTH, lambda s: not truth(s)
        if not isinstance(node.op, (ast.USub, ast.UAdd)):
            _refuse(node, f"{_text(node)}: this operator is not allowed")
        value, sign = self.number(node.operand).of, -1 if isinstance(node.op, ast.USub) else 1
        return NUMBER, lambda s: value(s) * sign

    def choice(self, node: ast.IfExp) -> tuple[str, Callable[[Scope], Any]]:
        """`a if condition else b`: only the chosen side is computed."""
        test, yes, no = self.truth(node.test), self.part(node.body), self.part(node.orelse)
        if yes.kind != no.kind:
            convert = _as_dims if DIMS in (yes.kind, no.kind) else _as_number
            yes, no = convert(yes), convert(no)
        return yes.kind, lambda s: yes.of(s) if test(s) else no.of(s)

    def compare(self, node: ast.Compare) -> tuple[str, Callable[[Scope], Any]]:
        parts = [self.part(side) for side in (node.left, *node.comparators)]
        for part in parts:
            if part.kind not in (NUMBER, ATTRIBUTE, TEXT):
                _refuse(part.node, f"{part.text} is {part.kind}; numbers, attributes and texts are compared")
        steps = []
        for op, left, right in zip(node.ops, parts, parts[1:], strict=False):
            apply = _COMPARISONS.get(type(op))
            if apply is None:
                _refuse(node, f"{_text(node)}: allowed are == != < <= > >=; a name alone asks whether it is given")
            if TEXT in (left.kind, right.kind) and not isinstance(op, (ast.Eq, ast.NotEq)):
                _refuse(node, f"{_text(node)}: texts are compared with == or !=")
            steps.append((apply, left.of, right.of))
        return TRUTH, lambda s: all(apply(left(s), right(s)) for apply, left, right in steps)

    def logic(self, node: ast.BoolOp) -> tuple[str, Callable[[Scope], Any]]:
        parts = [self.truth(value) for value in node.values]
        decide = all if isinstance(node.op, ast.And) else any
        return TRUTH, lambda s: decide(part(s) for part in parts)


_PARTS: Final[Mapping[type[ast.expr], Callable[[_Compiler, Any], tuple[str, Callable[[Scope], Any]]]]] = {
    ast.Constant: _Compiler.constant,
    ast.Name: _Compiler.name,
    ast.Attribute: _Compiler.attribute,
    ast.Call: _Compiler.call,
    ast.Subscript: _Compiler.subscript,
    ast.Tuple: _Compiler.listed,
    ast.List: _Compiler.listed,
    ast.BinOp: _Compiler.binary,
    ast.UnaryOp: _Compiler.unary,
    ast.IfExp: _Compiler.choice,
    ast.Compare: _Compiler.compare,
    ast.BoolOp: _Compiler.logic,
}


# ---- what a place in a formula takes
def _as_number(part: Part) -> Part:
    if part.kind == ATTRIBUTE:
        return part._replace(kind=NUMBER, of=lambda s: evaluation.number(part.of(s), part.text))
    if part.kind != NUMBER:
        text = part.text
        hint = f"; numel({text}), rank({text}), bytes({text}) and {text}[0] are numbers" if part.kind == TENSOR else ""
        _refuse(part.node, f"{text} is {part.kind}, not a number{hint}")
    return part


def _as_dims(part: Part) -> Part:
    if part.kind == TENSOR:
        return part._replace(kind=DIMS, of=lambda s: evaluation.shape_of(part.of(s), part.text))
    if part.kind == ATTRIBUTE:
        return part._replace(kind=DIMS, of=lambda s: evaluation.numbers(part.of(s), part.text))
    if part.kind != DIMS:
        _refuse(part.node, f"{part.text} is {part.kind}, not a list of dims; one dim is written ({part.text},)")
    return part


def _as_truth(part: Part) -> Callable[[Scope], bool]:
    """A condition; of a tensor: whether it is given, of a number: whether it is not 0."""
    if part.kind == TENSOR:
        return lambda s: part.of(s) is not None
    if part.kind not in (TRUTH, NUMBER, ATTRIBUTE, TENSORS):
        _refuse(part.node, f"{part.text} is {part.kind}, not a condition")
    return lambda s: bool(part.of(s))


def _literal(node: ast.expr) -> Any:
    """The default of an attribute: a whole number, a text, or a list of whole numbers (as a tuple)."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    entries = node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]
    found = []
    for at in entries:
        negative = isinstance(at, ast.UnaryOp) and isinstance(at.op, ast.USub)
        digits = at.operand if isinstance(at, ast.UnaryOp) and negative else at
        value = digits.value if isinstance(digits, ast.Constant) else None
        if type(value) is not int or value >= MAX_INT:
            _refuse(at, "a default is a whole number, a text or a list of whole numbers")
        found.append(-value if negative else value)
    return tuple(found) if isinstance(node, (ast.Tuple, ast.List)) else found[0]


def _alone(one: Callable[[Scope], Dim]) -> Callable[[Scope], tuple[Dim, ...]]:
    return lambda s: (one(s),)


def _none(_: Scope) -> None:
    return None


def _refuse(node: ast.AST, what: str) -> NoReturn:
    raise FormulaError(f"column {getattr(node, 'col_offset', 0) + 1}: {what}")


def _text(node: ast.AST) -> str:
    try:
        text = ast.unparse(node)
    except (RecursionError, ValueError):
        return "this"
    return text if len(text) <= 60 else f"{text[:57]}..."
