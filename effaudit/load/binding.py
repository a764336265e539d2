"""What the dims of a model's inputs are: given on the command line, stated by the file, or left as symbols."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided, UnknownName, UsageError
from effaudit.graph import DimInfo, Graph, Value

MAX_DIM: Final = 2**53  # the largest size --dim and --shape take


class Given(msgspec.Struct, frozen=True):
    """Sizes from outside the file: dims by name, whole shapes by input name ("" where the model has one input),
    and dims assumed because numbers were wanted and nobody gave any."""

    dims: Mapping[str, int] = {}
    shapes: Mapping[str, tuple[int, ...]] = {}
    assumed: Mapping[str, int] = {}


NOTHING_GIVEN: Final = Given()


def bind(graph: Graph, given: Given) -> tuple[dict[str, Value], dict[str, DimInfo]]:
    """The `Value` of every graph input with `given` applied, and what is known of every named dim.

    Raises UsageError on a name that is no dim or input of the model, or a size the file contradicts.
    """
    for name, size in (*given.dims.items(), *((n, d) for n, shape in given.shapes.items() for d in shape)):
        if type(size) is not int or not 0 <= size <= MAX_DIM:
            raise UsageError(
                f"{graph.source.path}: {name!r} is given as {size!r}; a size is a whole number of 0 or more"
            )
    shapes = _by_input(graph, given.shapes)
    known: dict[str, int] = dict(given.dims)
    for name, shape in shapes.items():
        _learn(graph, name, shape, given.dims, known)
    declared = [graph.declared[name] for name in graph.inputs]
    plain = {s.name for value in declared for dim in value.shape or () for s in dims.symbols(dim)}
    for name in given.dims:
        if name not in plain:
            message = f"{graph.source.path}: no input has a dim named {name!r}; it has: {_listed(plain)}"
            raise UnknownName(message, name)
        parts = _parse(name, plain)
        if parts is not None:
            names = sorted({node.id for node in ast.walk(parts) if isinstance(node, ast.Name)} & plain)
            raise UsageError(f"{graph.source.path}: dim {name!r} follows from others; give {_listed(names)}")
    at = {**given.assumed, **known}
    formulas = {name: formula for name in plain - at.keys() if (formula := _parse(name, plain)) is not None}
    values = {name: _bound(graph.declared[name], shapes.get(name), at, formulas) for name in graph.inputs}
    infos = {name: _info(name, known, given.assumed) for name in sorted(plain - formulas.keys())}
    return values, infos


def _by_input(graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    found = {}
    for label, shape in shapes.items():
        name = label
        if not label:
            if len(graph.inputs) != 1:
                raise UsageError(
                    f"{graph.source.path}: --shape without a name needs a model with one input; "
                    f"this one has: {_listed(graph.inputs)}"
                )
            name = graph.inputs[0]
        if name not in graph.declared or name not in graph.inputs:
            message = f"{graph.source.path}: no input is named {name!r}; it has: {_listed(graph.inputs)}"
            raise UnknownName(message, name)
        stated = graph.declared[name].shape
        if stated is not None:
            if len(stated) != len(shape):
                raise UsageError(
                    f"{graph.source.path}: input {name!r} has {len(stated)} dims, --shape gives {len(shape)}"
                )
            for i, (dim, size) in enumerate(zip(stated, shape, strict=True)):
                if isinstance(dim, int) and dim != size:
                    raise UsageError(
                        f"{graph.source.path}: dim {i} of input {name!r} is {dim} in the file, --shape gives {size}"
                    )
        found[name] = shape
    return found


def _learn(graph: Graph, name: str, shape: tuple[int, ...], named: Mapping[str, int], known: dict[str, int]) -> None:
    """A given shape also binds the symbols it stands for, wherever else they occur.

    Two shapes may disagree about a name (exporters reuse them); a shape and a --dim may not.
    """
    for dim, size in zip(graph.declared[name].shape or (), shape, strict=False):
        if isinstance(dim, Expr):
            (symbol,) = dims.symbols(dim)
            if named.get(symbol.name, size) != size:
                raise UsageError(
                    f"{graph.source.path}: --shape gives {symbol.name!r} of input {name!r} as {size}, "
                    f"--dim as {named[symbol.name]}"
                )
            known.setdefault(symbol.name, size)


def _bound(
    value: Value, shape: tuple[int, ...] | None, at: Mapping[str, int], formulas: Mapping[str, ast.expr]
) -> Value:
    if shape is not None:
        return Value(value.encoding, shape)
    if value.shape is None:
        return value
    return Value(value.encoding, tuple(_resolve(dim, at, formulas) for dim in value.shape))


def _resolve(dim: Dim, at: Mapping[str, int], formulas: Mapping[str, ast.expr]) -> Dim:
    if isinstance(dim, int):
        return dim
    (symbol,) = dims.symbols(dim)
    if symbol.name in at:
        return at[symbol.name]
    if symbol.name in formulas:
        return _followed(symbol.name, formulas[symbol.name], at)
    return dim


def _followed(name: str, formula: ast.expr, at: Mapping[str, int]) -> Dim:
    """The size of a dim that follows from others. Raises UsageError where theirs make it impossible."""
    try:
        size = _calculate(formula, at)
    except (ArithmeticError, Undecided):
        raise UsageError(f"dim {name!r} cannot be told from the sizes it follows from") from None
    if isinstance(size, int) and size < 0:
        raise UsageError(f"dim {name!r} would be {size} under the sizes it follows from")
    return size


def _info(name: str, known: Mapping[str, int], assumed: Mapping[str, int]) -> DimInfo:
    if name in known:
        return DimInfo(known[name], "given")
    if name in assumed:
        return DimInfo(assumed[name], "assumed")
    return DimInfo(None, "model", 1, None, "the file leaves it open")


def _parse(name: str, plain: Iterable[str]) -> ast.expr | None:
    """The expression a dim name spells (`past_sequence_length + 1`), where all its names are dims themselves."""
    if name.isidentifier() or len(name) > 200:
        return None
    try:
        tree = ast.parse(name, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - {"floor", "ceil", "min", "max"}
    allowed = (ast.BinOp, ast.Name, ast.Constant, ast.Call, ast.operator, ast.Load)
    if not names or not names <= set(plain) or not all(isinstance(n, allowed) for n in ast.walk(tree)):
        return None
    try:
        _calculate(tree, {})
    except (ValueError, TypeError, ArithmeticError, Undecided):
        return None
    return tree


def _calculate(tree: ast.expr, at: Mapping[str, int]) -> Dim:
    """The value of a dim expression. Raises ValueError on syntax dims do not use."""
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int):
        return tree.value
    if isinstance(tree, ast.Name):
        return at[tree.id] if tree.id in at else dims.symbol(tree.id)
    if isinstance(tree, ast.BinOp):
        left, right = _calculate(tree.left, at), _calculate(tree.right, at)
        if isinstance(tree.op, ast.Add):
            return left + right
        if isinstance(tree.op, ast.Sub):
            return left - right
        if isinstance(tree.op, ast.Mult):
            return left * right
        if isinstance(tree.op, (ast.FloorDiv, ast.Div)):
            return dims.floordiv(left, right)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.keywords:
        args = [_calculate(arg, at) for arg in tree.args]
        if tree.func.id == "floor" and len(args) == 1:
            return args[0]
        if tree.func.id in ("min", "max") and args:
            return dims.minimum(*args) if tree.func.id == "min" else dims.maximum(*args)
    raise ValueError("not an expression of dims")


def _listed(names: Iterable[str]) -> str:
    shown = [repr(name) for name in sorted(names)]
    return ", ".join(shown[:12]) + (" ..." if len(shown) > 12 else "") if shown else "none"
