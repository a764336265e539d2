"""Rules of installed packages: the entry points of group `effaudit.ops`.

An entry point names a module whose import registers rules with the decorators of `effaudit.extend`, or a function that
does so when called. They are looked for once in a process, and only when an operator is in no built-in family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any, Final

from effaudit import dims
from effaudit.dims import Expr
from effaudit.errors import EffauditError, Undecided, UsageError
from effaudit.graph import Value
from effaudit.ops._call import INVALID
from effaudit.ops._registry import MAC_KINDS, Cost, Registry, Rules, find_built_in
from effaudit.printable import printable

GROUP: Final = "effaudit.ops"
REGISTRY: Final = Registry()  # what the decorators of `effaudit.extend` fill

Key = tuple[str, str]


def rules_of_packages() -> Mapping[Key, Rules]:
    """The rules of every installed package. Raises UsageError where one of them cannot be used."""
    found = _loaded()
    if isinstance(found, str):
        raise UsageError(found)
    return found


@cache
def _loaded() -> Mapping[Key, Rules] | str:
    """The rules, or what is wrong: a failed import must not look like an empty package the second time."""
    try:
        return _load()
    except UsageError as error:
        return str(error)


def _load() -> Mapping[Key, Rules]:
    found: dict[Key, Rules] = {}
    owners: dict[Key, str] = {}
    _take("a module imported by the program", found, owners)
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        owner = _owner(entry)
        try:
            made = entry.load()
            if callable(made) and not isinstance(made, ModuleType):
                made()
        except (Exception, SystemExit) as error:  # whatever the package does wrong
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise UsageError(printable(f"{owner} cannot be loaded: {what}; repair or uninstall it", 600)) from None
        _take(owner, found, owners)
    return found


def _owner(entry: metadata.EntryPoint) -> str:
    package = f"package {entry.dist.name} {entry.dist.version}" if entry.dist is not None else "a package"
    return f"{package} (entry point {GROUP}: {entry.name} = {entry.value})"


def _take(owner: str, found: dict[Key, Rules], owners: dict[Key, str]) -> None:
    """Moves what was registered since the last time to `found`. Raises UsageError where an operator has rules."""
    for key, rules in REGISTRY.rules.items():
        name = "::".join((key[0] or "ai.onnx", key[1]))
        other = "effaudit's built-in rule" if find_built_in(*key) is not None else owners.get(key)
        if other is not None:
            raise UsageError(printable(f"{owner} has rules for {name}, and so has {other}; only one may", 600))
        owners[key] = owner
        found[key] = _guarded(rules, owner, name)
    REGISTRY.rules.clear()


def _guarded(rules: Rules, owner: str, name: str) -> Rules:
    """The rules, where a bug in one ends in a line that says whose it is."""
    made = Rules(**{field: getattr(rules, field) for field in Rules.__struct_fields__})
    made.package = owner
    kind = rules.kind
    if rules.shape is not None:
        made.shape = _guard(rules.shape, f"{owner}: the shape rule of {name}", _check_values)
    if rules.cost is not None:
        macs = not isinstance(kind, str) or kind in MAC_KINDS
        check = _check_cost if macs else _check_cost_without_macs
        made.cost = _guard(rules.cost, f"{owner}: the cost rule of {name}", check)
    if not isinstance(kind, str):
        made.kind = _guard(kind, f"{owner}: the kind of {name}", _check_kind)
    return made


def _guard(rule: Callable[..., Any], what: str, check: Callable[[Any], str]) -> Callable[..., Any]:
    def guarded(*args: Any, **keywords: Any) -> Any:
        try:
            result = rule(*args, **keywords)
            wrong = check(result)
        except (*INVALID, Undecided, EffauditError):  # what rules may raise about a model
            raise
        except Exception as error:
            wrong = " ".join(f"{type(error).__name__}: {error}".split())
        if wrong:
            raise UsageError(printable(f"{what} is broken: {wrong}", 600))
        return result

    guarded.__doc__ = rule.__doc__
    return guarded


def _check_values(result: Any) -> str:
    for value in result if type(result) is tuple else (result,):
        if not isinstance(value, Value):
            return f"it returns {type(value).__name__} where a Value is expected"
        for dim in value.shape or ():
            if type(dim) is not int and not isinstance(dim, Expr):
                return f"a dim is {dim!r}"
    return ""


def _check_cost(result: Any) -> str:
    if not isinstance(result, Cost):
        return f"it returns {type(result).__name__} where a Cost is expected"
    for figure in ("macs", "ops", "reads", "writes"):
        number = getattr(result, figure)
        if number is None and figure in ("reads", "writes"):
            continue
        if type(number) is not int and not isinstance(number, Expr):
            return f"{figure} is {number!r}; a whole number of 0 or more is expected"
        if dims.upper(number) < 0:
            return f"{figure} is {dims.text(number)}; a whole number of 0 or more is expected"
    return ""


def _check_cost_without_macs(result: Any) -> str:
    wrong = _check_cost(result)
    if not wrong and result.macs != 0:
        return f"it has MACs, which its kind has not; kinds with MACs: {', '.join(sorted(MAC_KINDS))}"
    return wrong


def _check_kind(result: Any) -> str:
    return "" if isinstance(result, str) else f"it is {type(result).__name__} where a word is expected"
