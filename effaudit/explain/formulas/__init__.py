"""A library of named formulas for the cost of networks, for calculations without any model."""

from __future__ import annotations

from effaudit.explain.formulas._calculate import calculate, takes_arguments
from effaudit.explain.formulas._model import Answer, Argument, Formula, Parameter
from effaudit.explain.formulas._page import page
from effaudit.explain.formulas._registry import find, formulas, named, topics

__all__ = [
    "Answer",
    "Argument",
    "Formula",
    "Parameter",
    "calculate",
    "find",
    "formulas",
    "named",
    "page",
    "takes_arguments",
    "topics",
]
