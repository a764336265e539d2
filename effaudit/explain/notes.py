"""The notes of a report by their names: what each means, and what it says of a model."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.findings import RULES as OF_STRUCTURE
from effaudit.findings import findings
from effaudit.views.weights.findings import RULES as OF_WEIGHTS

RULES: Final = {**OF_STRUCTURE, **OF_WEIGHTS}


class Rule(msgspec.Struct, frozen=True):
    """A note: what it means. In a `model`, how many things it concerns there (0: the model has no such note; None: it
    cannot be told, `why` says why), what it says, what to do, and examples."""

    rule: str
    meaning: str
    model: str = ""
    count: int | None = None
    message: str = ""
    remedy: str = ""
    where: tuple[str, ...] = ()
    why: str | None = None


def explain_rule(name: str, audited: Audited | None = None) -> Rule:
    """A note by its name, one of RULES."""
    meaning = " ".join(RULES[name].split())
    if audited is None:
        return Rule(name, meaning)
    unread = 0
    if name in OF_WEIGHTS:
        from effaudit.views.weights import inspect  # reads the weights

        report = inspect(audited)
        made, unread = report.findings, sum(kind.tensors for kind in report.unread)
    else:
        made = findings(audited)
    found = next((one for one in made if one.rule == name), None)
    if found is not None:
        return Rule(name, meaning, audited.name, found.count, found.message, found.remedy, found.where)
    if unread:
        return Rule(name, meaning, audited.name, why=f"the values of {unread:,} tensor(s) were not read")
    return Rule(name, meaning, audited.name, 0)
