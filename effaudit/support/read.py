"""Finding and reading sets of supported operators: those that are shipped, by name, and anybody's, by path."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

import msgspec

from effaudit import strict_yaml
from effaudit.errors import UsageError
from effaudit.graph import ENCODINGS
from effaudit.nearest import did_you_mean
from effaudit.ops._registry import MICROSOFT, Rules, find_built_in, load_families, registered
from effaudit.printable import printable
from effaudit.schema_errors import explained
from effaudit.support.types import SCHEMA, Conditions, Key, SetSpec, SupportSet, shown

_SUFFIXES: Final = (".yaml", ".yml")
_ONNX: Final = "ai.onnx"
DTYPES: Final = frozenset(encoding.dtype for encoding in ENCODINGS.values())


def folder() -> str:
    """The folder of the shipped profiles: inside the wheel, or beside the package in a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    inside = os.path.join(package, "_device_profiles")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "device_profiles")


def names() -> tuple[str, ...]:
    """The shipped sets, in order of their names."""
    try:
        found = os.listdir(os.path.join(folder(), "operators"))
    except OSError:
        return ()
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


def find(name: str) -> SupportSet:
    """The set of a name (in any case), or of a path: what has a folder in it or ends in .yaml or .yml.

    Raises UsageError where there is none, or as `read`.
    """
    if name.lower().endswith(_SUFFIXES) or os.sep in name or "/" in name:
        return read(name)
    wanted = name.strip().lower().replace("_", "-")
    known = names()
    if wanted not in known:
        near = did_you_mean(wanted, known) or f"; there are: {', '.join(known) or 'none'}"
        raise UsageError(f"operator support {printable(repr(name))}: no such set{near}")
    return read(os.path.join(folder(), "operators", f"{wanted}.yaml"))


def read(path: str | os.PathLike[str]) -> SupportSet:
    """The set of a YAML file of schema `effaudit.operators-supported/1`.

    Raises UsageError, one line `FILE: $.place: what was expected`, on a file that is no such file, an operator, input
    or element type that nobody knows, a number that can hold of no node, and conditions that no node can meet.
    """
    path = os.fspath(path)
    document = strict_yaml.read(path)
    stated = document.get("schema") if isinstance(document, dict) else None
    if stated is not None and stated != SCHEMA:
        raise UsageError(f"{printable(path)}: $.schema: expected {SCHEMA}, got {printable(str(stated))}")
    _each_operator(document, path)
    spec = strict_yaml.convert(document, SetSpec, path)
    try:
        operators = _operators(spec)
        _limits(spec)
    except ValueError as error:
        raise UsageError(printable(f"{path}: {error}", None)) from None
    return SupportSet(spec.name, spec.title, spec.sources, spec.limits, MappingProxyType(operators), spec.notes, path)


def _each_operator(document: object, path: str) -> None:
    """Converts operator by operator, so that what is wrong is said with the operator's name."""
    written = document.get("operators") if isinstance(document, dict) else None
    for name, stated in written.items() if isinstance(written, dict) else ():
        for i, one in enumerate(stated) if isinstance(stated, list) else ((None, stated),):
            try:
                msgspec.convert(one, Conditions | None, strict=True, str_keys=True)
            except msgspec.ValidationError as error:
                place = f"$.operators.{name}" + ("" if i is None else f"[{i}]")
                said = explained(error, one or {}, Conditions)
                raise UsageError(printable(f"{path}: {place}{said.removeprefix('$')}", None)) from None


def _limits(spec: SetSpec) -> None:
    if not spec.sources:
        raise ValueError("$.sources: at least one page that says so is needed")
    _known_types(spec.limits.dtypes, "$.limits.dtypes")
    _versions(spec.limits.opset, "$.limits")
    for name in ("max_rank", "max_inner_dims", "max_partitions"):
        _positive(getattr(spec.limits, name), f"$.limits.{name}")


def _operators(spec: SetSpec) -> dict[Key, tuple[Conditions, ...]]:
    found: dict[Key, tuple[Conditions, ...]] = {}
    for written, stated in spec.operators.items():
        place = f"$.operators.{written}"
        key = _key(written, place)
        if key in found:
            raise ValueError(f"{place}: {shown(key)} stands here twice, with and without its domain")
        rules = _rules(key, place)
        alternatives = (Conditions(),) if stated is None else stated if isinstance(stated, tuple) else (stated,)
        if not alternatives:
            raise ValueError(f"{place}: an empty list; leave it out, or write nothing after the colon")
        for i, one in enumerate(alternatives):
            _check(one, rules, f"{place}[{i}]" if isinstance(stated, tuple) else place)
        found[key] = alternatives
    return found


def _key(written: str, place: str) -> Key:
    domain, _, op = written.rpartition(":")
    if not op.isidentifier() or ":" in domain or domain != domain.strip():
        raise ValueError(f"{place}: no operator; written Operator or domain:Operator")
    return ("" if domain == _ONNX else domain), op


def _rules(key: Key, place: str) -> Rules | None:
    """The rules of an operator; of another domain than ONNX's and Microsoft's there need be none."""
    domain, op = key
    rules = find_built_in(domain, op)
    if rules is None and domain in ("", MICROSOFT):
        load_families()
        near = did_you_mean(op, sorted(o for d, o in registered() if d == domain))
        raise ValueError(f"{place}: {domain or _ONNX} has no operator {op}{near}")
    return rules


_POSITIVE: Final = (
    "max_rank batch max_elements outputs min_kernel max_kernel max_kernel_product max_stride max_dilation max_channels "
    "max_size"
).split()
_EACH_POSITIVE: Final = "ranks spatial strides dilations upscales".split()


def _check(one: Conditions, rules: Rules | None, place: str) -> None:
    for name in _POSITIVE:
        _positive(getattr(one, name), f"{place}.{name}", 0 if name == "max_rank" else 1)
    for name in _EACH_POSITIVE:
        for number in getattr(one, name):
            _positive(number, f"{place}.{name}", 0 if name in ("ranks", "spatial") else 1)
    _positive(one.max_pad, f"{place}.max_pad", 0)
    for size in one.kernel_sizes:
        for number in size if isinstance(size, tuple) else (size,):
            _positive(number, f"{place}.kernel_sizes")
    if one.min_kernel and one.max_kernel and one.min_kernel > one.max_kernel:
        raise ValueError(f"{place}.min_kernel: {one.min_kernel} is more than max_kernel")
    _versions(one.opset, place)
    _known_types(one.dtypes, f"{place}.dtypes")
    takes = (rules.shape_takes or rules.cost_takes) if rules is not None else None
    named = (("constant", one.constant), ("input_dtypes", one.input_dtypes), ("input_ranks", one.input_ranks))
    for field, wanted in named:
        for name in wanted:
            if takes is not None and not takes.variadic and name.lower() not in takes.inputs:
                there = ", ".join(takes.inputs)
                raise ValueError(f"{place}.{field}: the operator has no input {name!r}; it has {there}")
    for name, dtypes in one.input_dtypes.items():
        _known_types(dtypes, f"{place}.input_dtypes.{name}")
    for name, values in one.attributes.items():
        if not values:
            raise ValueError(f"{place}.attributes.{name}: an empty list allows nothing")


def _versions(opset: tuple[int, int | None] | None, place: str) -> None:
    if opset is not None and (opset[0] < 1 or (opset[1] is not None and opset[1] < opset[0])):
        raise ValueError(f"{place}.opset: expected the first version and the last (or null)")


def _positive(number: int | None, place: str, least: int = 1) -> None:
    if number is not None and number < least:
        raise ValueError(f"{place}: expected a whole number of {least} or more, got {number}")


def _known_types(dtypes: Iterable[str], place: str) -> None:
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise ValueError(f"{place}: no element type {dtype!r}{did_you_mean(dtype, sorted(DTYPES))}")
