"""Operators that users define: a YAML file of formulas, read into rules.

`read(path, ...)` gives the mapping that `effaudit.load.read(name, operators)` and `effaudit.load.load` take. For one
node, the rules are looked up in this order:

1. a definition of a file with `replace: true`;
2. a function of the model itself, whose body says what it does;
3. any other definition of a file;
4. the built-in rules (a file may define an operator that has some only with `replace: true`);
5. rules of installed packages (`effaudit.extend`).

Nothing here changes the registry: definitions travel with the graph they were given for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from effaudit import strict_yaml
from effaudit.errors import UsageError
from effaudit.operators.rules import Definition, define
from effaudit.operators.schema import SCHEMA, FileSpec, OperatorSpec
from effaudit.ops._registry import load_families, registered
from effaudit.printable import printable

__all__ = ["SCHEMA", "Definition", "Operators", "read"]

Operators: TypeAlias = Mapping[tuple[str, str], Definition]

# Their bodies decide what they cost, or they are the file's way to write a tensor.
_FIXED: Final = frozenset(("If", "Loop", "Scan", "SequenceMap", "Constant"))


def read(*paths: str | os.PathLike[str]) -> Operators:
    """The definitions of YAML files of schema `effaudit.operators/1`, by (domain, operator).

    Raises UsageError, one line `FILE: $.operators[i].key: what was expected`, on a file that is no such file, a formula
    that cannot be read, an operator that is defined twice, or one that has a built-in rule and no `replace: true`.
    """
    found: dict[tuple[str, str], Definition] = {}
    load_families()
    for path in [os.fspath(path) for path in paths]:
        for i, spec in enumerate(_file(path).operators):
            try:
                key = _key(spec.op)
                if key in found:
                    raise ValueError(f".op: {spec.op} is defined twice, the first time in {found[key].path}")
                found[key] = _definition(key, spec, path)
            except ValueError as error:
                raise UsageError(printable(f"{path}: $.operators[{i}]{error}", None)) from None
    return MappingProxyType(found)


def _file(path: str) -> FileSpec:
    document = strict_yaml.read(path)
    stated = document.get("schema") if isinstance(document, dict) else None
    if stated is not None and stated != SCHEMA:
        raise UsageError(f"{printable(path)}: $.schema: expected {SCHEMA}, got {printable(str(stated))}")
    return strict_yaml.convert(document, FileSpec, path)


def _key(op: str) -> tuple[str, str]:
    """`acme::FusedDense` -> domain and operator; no domain, and `ai.onnx`, are the standard operators'."""
    domain, _, name = op.rpartition("::")
    plain = op.isprintable() and " " not in op and ":" not in domain + name
    if not plain or not name or not (domain or name.isidentifier()):
        raise ValueError(f".op: {op[:60]!r} is no operator; written domain::Operator")
    return ("" if domain == "ai.onnx" else domain), name


def _definition(key: tuple[str, str], spec: OperatorSpec, path: str) -> Definition:
    domain, name = key
    if not domain and name in _FIXED:
        raise ValueError(f".op: {name} cannot be defined: its cost is that of its bodies")
    built_in = registered().get(key)
    if built_in is not None and built_in.package:
        built_in = None
    if built_in is not None and not spec.replace:
        raise ValueError(f".op: {spec.op} has a built-in rule; `replace: true` puts this definition in its place")
    return define(spec, built_in, path)
