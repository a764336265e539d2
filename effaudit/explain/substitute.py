"""The formula of a cost rule with the numbers of one node put in.

A rule's docstring states its formula (`macs = numel(out) x C/group x prod(kernel); ops = numel(out) for a bias`). It is
read here as products, quotients and sums of names; what follows a term in words is a condition (`for a bias`) or a
remark. A substitution is given only where its value is exactly the count of the rule, so a formula that is read wrongly
yields no substitution, never a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import Shape

MAX_FORMULA: Final = 2_000  # characters of a docstring that are read
MAX_NESTING: Final = 20
_TOKEN: Final = re.compile(r"\s*([0-9]+|[A-Za-z_][\w.'-]*(?:\[[^\]]*\])?|\S)")
_CLAUSE: Final = re.compile(r"\s*(macs|ops)\s*=\s*(.*)", re.DOTALL)
_LABELS: Final = frozenset("comparisons additions roots remainders products look-ups".split())
_MAX_WORDS: Final = 5


class Environment(msgspec.Struct, frozen=True):
    """What the words of a formula stand for in one node.

    `values` are single sizes (`K`, `hidden`), `shapes` what `numel(...)` and `prod(...)` multiply, by lower-case name,
    `conditions` how often a term with that condition counts (`for a bias`: 0 or 1).
    """

    values: Mapping[str, Dim] = {}
    shapes: Mapping[str, Shape] = {}
    conditions: Mapping[str, Dim] = {}


class Leaf(msgspec.Struct, frozen=True):
    """Factors that stand next to each other."""

    factors: tuple[Dim, ...]


class Product(msgspec.Struct, frozen=True):
    """Operands, each with "x" or "/" before it (the first one's is not used)."""

    parts: tuple[tuple[str, Tree], ...]


class Sum(msgspec.Struct, frozen=True):
    """Operands, each with "+" or "-" before it; an empty sum is 0."""

    parts: tuple[tuple[str, Tree], ...]


Tree: TypeAlias = Leaf | Product | Sum


def formula_of(text: str, figure: str) -> str:
    """The right-hand side that a cost docstring states for "macs" or "ops", as words; "" where it states none."""
    for clause in _clauses(" ".join(text[:MAX_FORMULA].split())):
        match = _CLAUSE.fullmatch(clause)
        if match and match[1] == figure:
            return match[2].strip()
    return ""


def substitute(formula: str, environment: Environment, count: Dim) -> str:
    """The formula with numbers put in, where its value is exactly `count`; otherwise "".

    `1 x 128 x 56 x 56 x 64/1 x 3 x 3`: `x`, `/`, `+` and `-` with their usual precedence.
    """
    try:
        tree = _Reader(formula, environment).read()
        return text_of(tree) if value_of(tree) == count else ""
    except (_UnreadableError, Undecided, ArithmeticError):
        return ""


def value_of(tree: Tree) -> Dim:
    """The value of a tree. Raises ArithmeticError on a quotient that is not whole, Undecided on one too large."""
    if isinstance(tree, Leaf):
        return _times(tree.factors)
    if isinstance(tree, Sum):
        total: Dim = 0
        for sign, part in tree.parts:
            value = value_of(part)
            total = total + value if sign == "+" else total - value
        return total
    above = _times(value_of(part) for sign, part in tree.parts if sign != "/")
    for sign, part in tree.parts:
        if sign == "/":
            above = _quotient(above, value_of(part))
    return above


def text_of(tree: Tree) -> str:
    """A tree as text, with the parentheses it needs."""
    if isinstance(tree, Leaf):
        return " x ".join(map(_number, tree.factors)) or "1"
    found = ""
    if isinstance(tree, Sum):
        for i, (sign, part) in enumerate(tree.parts):
            piece = f"({text_of(part)})" if sign == "-" and isinstance(part, Sum) else text_of(part)
            found += f" {sign} {piece}" if i else f"-{piece}" if sign == "-" else piece
        return found or "0"
    for i, (sign, part) in enumerate(tree.parts):
        text = text_of(part)
        alone = text.isalnum() if sign == "/" and i else not _adds(part)
        piece = text if alone else f"({text})"
        found += piece if not i else f"/{piece}" if sign == "/" else f" x {piece}"
    return found


def _adds(tree: Tree) -> bool:
    """Whether the text of a tree needs parentheses in a product."""
    if not isinstance(tree, Sum):
        return False
    return len(tree.parts) > 1 or any(sign == "-" or _adds(part) for sign, part in tree.parts)


def _times(values: Iterable[Dim]) -> Dim:
    total: Dim = 1
    for value in values:
        total = total * value
    return total


def _quotient(above: Dim, below: Dim) -> Dim:
    quotient = None if below == 0 else dims.floordiv(above, below)
    if quotient is None or quotient * below != above:
        raise ArithmeticError("a quotient that is not whole")
    return quotient


def _number(dim: Dim) -> str:
    text = dims.text(dim)
    return f"({text})" if isinstance(dim, Expr) and len(dim.terms) > 1 else text


def _clauses(text: str) -> list[str]:
    """The text, divided at the semicolons outside parentheses."""
    found, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == ";" and depth <= 0:
            found.append(text[start:i])
            start = i + 1
    return [*found, text[start:]]


class _UnreadableError(Exception):
    """A formula with words that this module does not know."""


class _Reader:
    """Reads one formula, from left to right."""

    def __init__(self, formula: str, environment: Environment) -> None:
        self.tokens = [match[1] for match in _TOKEN.finditer(formula[:MAX_FORMULA])]
        self.at = 0
        self.depth = 0
        self.environment = environment

    def read(self) -> Tree:
        tree = self.sum()
        if self.at < len(self.tokens):
            raise _UnreadableError(self.tokens[self.at])
        return tree

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else ""

    def sum(self) -> Tree:
        parts: list[tuple[str, Tree]] = []
        sign = "+"
        while True:
            part = self.product()
            times = self.condition(self.phrase())
            if times == 1:
                parts.append((sign, part))
            elif times != 0:
                parts.append((sign, Product((("x", Leaf((times,))), ("x", part)))))
            self.remarks()
            if self.peek() not in ("+", "-"):
                break
            sign = self.peek()
            self.at += 1
        return parts[0][1] if len(parts) == 1 and parts[0][0] == "+" else Sum(tuple(parts))

    def product(self) -> Tree:
        parts: list[tuple[str, Tree]] = [("x", self.factor())]
        while self.peek() in ("x", "/"):
            sign = self.peek()
            self.at += 1
            parts.append((sign, self.factor()))
        return parts[0][1] if len(parts) == 1 else Product(tuple(parts))

    def factor(self) -> Tree:
        token = self.peek()
        if token.isdigit():
            self.at += 1
            return Leaf((int(token),))
        if token == "(":
            return self.group()
        if token in ("numel", "prod") and self.peek(1) == "(":
            end = self.closing(self.at + 1)
            name = " ".join(self.tokens[self.at + 2 : end]).lower()
            if name not in self.environment.shapes:
                raise _UnreadableError(name)
            self.at = end + 1
            return Leaf(self.environment.shapes[name])
        return self.name()

    def group(self) -> Tree:
        self.at += 1
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _UnreadableError("(")
        tree = self.sum()
        if self.peek() != ")":
            raise _UnreadableError(self.peek())
        self.at += 1
        self.depth -= 1
        return tree

    def name(self) -> Tree:
        """The longest run of words that is a name."""
        for words in range(_MAX_WORDS, 0, -1):
            name = " ".join(self.tokens[self.at : self.at + words])
            if name in self.environment.values:
                self.at += words
                return Leaf((self.environment.values[name],))
        raise _UnreadableError(self.peek())

    def closing(self, start: int) -> int:
        """The place of the parenthesis that closes the one at `start`."""
        depth = 0
        for i in range(start, len(self.tokens)):
            depth += (self.tokens[i] == "(") - (self.tokens[i] == ")")
            if not depth:
                return i
        raise _UnreadableError("(")

    def phrase(self) -> str:
        """The words after a term, without what stands in parentheses."""
        words = []
        while self.peek() not in ("", ",", "+", "-", ")", ";"):
            if self.peek() == "(":
                self.at = self.closing(self.at) + 1
            else:
                words.append(self.peek())
                self.at += 1
        return " ".join(words).lower()

    def condition(self, phrase: str) -> Dim:
        """How often a term with this condition counts."""
        phrase = phrase.removeprefix("each ")
        known = self.environment.conditions.get(phrase)
        if known is not None:
            return known
        if not phrase or phrase.startswith("to ") or phrase in _LABELS:
            return 1
        raise _UnreadableError(phrase)

    def remarks(self) -> None:
        """Skips what follows a comma up to the next term of the sum or the end of the group."""
        while self.peek() == ",":
            self.at += 1
            while self.peek() not in ("", ",", ")") and not self.starts_term():
                self.at = self.closing(self.at) + 1 if self.peek() == "(" else self.at + 1
            if self.starts_term():
                return
        if self.peek() == ":":
            raise _UnreadableError(":")

    def starts_term(self) -> bool:
        return self.peek() in ("+", "-") and self.tokens[self.at - 1] == ","
