"""A plan as a C99 header: the size of the arena, and the offset of every tensor as a named constant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from effaudit.errors import UsageError
from effaudit.plan.emit.places import places
from effaudit.plan.lifetimes import Lifetime
from effaudit.plan.problem import Buffer, Plan

LARGEST: Final = 2**63 - 1  # of a decimal constant without a suffix
_NO_NAME = re.compile(r"[^A-Z0-9]+")
_NO_COMMENT = re.compile(r"[^ -~]|[?\\]")  # trigraphs and continued lines are read even in comments


def emit_c(plan: Plan, name: str = "plan", storages: Iterable[Lifetime] = ()) -> str:
    """The header. Its macros begin with `name`, in capitals; `storages`: see `places`.

    NAME_ARENA_BYTES, NAME_ARENA_ALIGN, NAME_BUFFERS (how many), NAME_OFFSETS (an initializer: offsets by the order of
    the buffers) and NAME_OFFSET_TENSOR for every tensor. Constants alone: no code, no data. Raises UsageError for a
    plan too large for C.
    """
    prefix = _identifier(name) or "PLAN"
    prefix = prefix if prefix[0].isalpha() else f"PLAN_{prefix}"
    if plan.arena > LARGEST:
        raise UsageError(f"C header: the arena of {plan.arena} bytes is larger than a constant of C, {LARGEST}")
    buffers = plan.problem.buffers
    state = "no plan is smaller" if plan.proven else f"no plan is smaller than {plan.floor}"
    lines = [
        f"/* Memory plan of {_comment(name)}, by effaudit (planner {_comment(plan.planner)}; {state}).",
        "   A tensor may share bytes with others while it is not alive: in the steps [start, end) it is. */",
        f"#ifndef {prefix}_PLAN_H",
        f"#define {prefix}_PLAN_H",
        "",
        f"#define {prefix}_ARENA_BYTES {plan.arena}",
        f"#define {prefix}_ARENA_ALIGN {plan.problem.align}",
        f"#define {prefix}_BUFFERS {len(buffers)}",
        "",
        *_offsets(plan, prefix, storages),
        "",
        f"/* static const size_t offsets[] = {prefix}_OFFSETS; */",
        *_initializer(plan, prefix),
        "",
        f"#endif /* {prefix}_PLAN_H */",
    ]
    return "\n".join(lines) + "\n"


def _offsets(plan: Plan, prefix: str, storages: Iterable[Lifetime]) -> Iterator[str]:
    unique = _Unique()
    for place in places(plan, storages):
        own = place.tensor == place.buffer.name
        said = _described(place.buffer) if own else f"lies in {_comment(place.buffer.name)}"
        constant = f"{prefix}_OFFSET_{unique.of(_identifier(place.tensor))}"
        yield f"#define {constant} {place.offset} /* {_comment(place.tensor)}: {said} */"


def _described(buffer: Buffer) -> str:
    return f"{buffer.size} bytes, steps [{buffer.start}, {buffer.end})"


def _initializer(plan: Plan, prefix: str) -> Iterator[str]:
    """One line of the macro per buffer; an array of C has at least one element."""
    numbers = [str(offset) for offset in plan.offsets] or ["0"]
    yield f"#define {prefix}_OFFSETS {{ \\"
    yield from (f"    {number}, \\" for number in numbers[:-1])
    yield f"    {numbers[-1]} }}"


class _Unique:
    """Names, each given once: a second `A` is `A_2`."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.next: dict[str, int] = {}

    def of(self, name: str) -> str:
        found = name or "TENSOR"
        while found in self.used:
            count = self.next.get(name, 2)
            self.next[name] = count + 1
            found = f"{name or 'TENSOR'}_{count}"
        self.used.add(found)
        return found


def _identifier(name: str) -> str:
    return _NO_NAME.sub("_", name.upper()).strip("_")


def _comment(text: str) -> str:
    return _NO_COMMENT.sub(".", text).replace("*/", "* /").replace("/*", "/ *")
