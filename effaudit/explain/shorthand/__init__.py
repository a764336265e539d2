"""Short forms of calls: what people know by heart of a layer, as arguments."""

from __future__ import annotations

from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short
from effaudit.explain.shorthand.attention import GROUPED, MULTI_HEAD, PROJECTED, STANDARD
from effaudit.explain.shorthand.conv import CONV, TRANSPOSED
from effaudit.explain.shorthand.elementwise import ELEMENTWISE, KINDS, ONE_INPUT
from effaudit.explain.shorthand.embedding import EMBEDDING
from effaudit.explain.shorthand.linear import GEMM, MATMUL
from effaudit.explain.shorthand.norm import CHANNELS, TOKENS
from effaudit.explain.shorthand.pooling import GLOBAL, POOL
from effaudit.explain.shorthand.recurrent import RECURRENT
from effaudit.operators.rules import Definition
from effaudit.ops._registry import MICROSOFT

__all__ = ["Given", "Short", "short_form"]

_STANDARD = (CONV, TRANSPOSED, GEMM, MATMUL, POOL, GLOBAL, CHANNELS, TOKENS, STANDARD, RECURRENT, EMBEDDING)
_MICROSOFT = (CONV, PROJECTED, MULTI_HEAD, GROUPED)


def short_form(found: Operator) -> Short | None:
    """The short form of an operator, if it has one."""
    if isinstance(found.rules, Definition):  # it need not take what the operator it replaces takes
        return None
    forms = _STANDARD if not found.domain else _MICROSOFT if found.domain == MICROSOFT else ()
    for form in forms:
        if found.op in form.ops:
            return form
    plain = not found.domain or (found.domain == MICROSOFT and found.op in ONE_INPUT)
    return ELEMENTWISE if plain and found.rules.kind in KINDS and found.rules.cost is not None else None
