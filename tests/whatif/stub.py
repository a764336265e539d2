"""A what-if of few lines, to test what stands around what-ifs: it sizes the batch, and says what it is told to say."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.whatif.spec import only, whole, words_of
from effaudit.whatif.types import Blocked, Change, Detail


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`batch`: the new size of the first dim of every input; `blocked`, `details`: how many to report."""

    batch: int = 1
    blocked: int = 0
    details: int = 0
    fail: bool = False


def parse(written: str) -> Arguments:
    words, pairs = words_of(written, "--bind")
    only(pairs, ("batch", "blocked", "details"), "--bind")
    if words not in ([], ["fail"]):
        raise UsageError(f"--bind {words[0]!r}: expected fail")
    sizes = {key: whole(value, f"--bind {key}", 1 if key == "batch" else 0) for key, value in pairs.items()}
    return Arguments(fail=bool(words), **sizes)


def text(arguments: Arguments) -> str:
    pairs = [f"{key}={getattr(arguments, key)}" for key in ("blocked", "details") if getattr(arguments, key)]
    return ",".join(["fail"] * arguments.fail + [f"batch={arguments.batch}", *pairs])


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    if arguments.fail:
        raise UsageError("there is no such thing here")
    return Change(
        _batched(audited.raw, arguments.batch),
        notes=(f"the batch is {arguments.batch}",),
        blocked=tuple(Blocked(f"group {i}", "it stays") for i in range(arguments.blocked)),
        details=tuple(
            Detail("tensors", f"weight {i}", {"sqnr_db": 40.0 - i, "weight_bytes": 1024 * i, "type": "int8"})
            for i in range(arguments.details)
        ),
        loss=0.25 if arguments.details else 0.0,
        retrain=bool(arguments.details),
    )


def _batched(graph: Graph, batch: int) -> Graph:
    declared: dict[str, Any] = dict(graph.declared)
    for name in graph.inputs:
        value = declared[name]
        declared[name] = replace(value, shape=(batch, *value.shape[1:]))
    for name in graph.outputs:
        declared.pop(name, None)
    return replace(graph, declared=declared, stated=dict, history=(*graph.history, f"batch {batch}"))


def register(monkeypatch: pytest.MonkeyPatch, name: str = "bind") -> None:
    """The stub stands for the what-if of a name."""
    module = ModuleType(f"effaudit.whatif.{name}")
    for one in (Arguments, parse, text, rewrite):
        setattr(module, one.__name__, one)
    monkeypatch.setitem(sys.modules, module.__name__, module)
