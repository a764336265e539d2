"""An independent reading of printed arithmetic: what a person with a calculator would get."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

_NAME = re.compile(r"[A-Za-z_][\w.:]*(\[\d+\])?")  # exporters name dims `x.1[0]`

_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def calculate(text: str, names: Mapping[str, int] | None = None) -> Fraction:
    """The value of `1 x 1,024 x (H + 1)/2`: `x` between blanks multiplies, a comma before three digits separates
    thousands, the rest is as in Python."""
    text = _SEPARATOR.sub("", text).replace("//", "@")
    tree = ast.parse(re.sub(r"(?<=[\s)])x(?=[\s(])", "*", text), mode="eval").body
    return _value(tree, names or {})


def _value(tree: Any, names: Mapping[str, int]) -> Fraction:
    if isinstance(tree, ast.Constant):
        assert isinstance(tree.value, int)
        return Fraction(tree.value)
    if isinstance(tree, ast.Name):
        return Fraction(names[tree.id])
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_value(tree.operand, names)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        values = [_value(arg, names) for arg in tree.args]
        if tree.func.id == "bcast":
            return values[1] if values[0] == 1 else values[0]
        return max(values) if tree.func.id == "max" else min(values)
    assert isinstance(tree, ast.BinOp), ast.dump(tree)
    left, right = _value(tree.left, names), _value(tree.right, names)
    if isinstance(tree.op, ast.Pow):
        return Fraction(left ** int(right))
    if isinstance(tree.op, ast.Add):
        return left + right
    if isinstance(tree.op, ast.Sub):
        return left - right
    if isinstance(tree.op, ast.Mult):
        return left * right
    if isinstance(tree.op, ast.MatMult):
        return Fraction(left // right)
    return left % right if isinstance(tree.op, ast.Mod) else left / right


def agree(put: str, result: int | str) -> bool:
    """Whether a substitution gives the result, at one set of sizes where it holds open dims."""
    if isinstance(result, int):
        return calculate(put) == result
    put, result = (_NAME.sub(lambda name: re.sub(r"\W", "_", name[0]), text) for text in (put, result))
    words = set(re.findall(r"[A-Za-z_]\w*", f"{put} {result}")) - {"x", "max", "min", "bcast"}
    sizes = {word: 12 * (7 + i) for i, word in enumerate(sorted(words))}
    return calculate(put, sizes) == calculate(result, sizes)
