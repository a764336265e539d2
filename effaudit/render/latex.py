"""LaTeX: a `tabular` with booktabs rules, to paste into a paper; the convention stands in comments above it."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.printable import printable
from effaudit.render.cells import RIGHT, text
from effaudit.render.units import scaled
from effaudit.report import ModelReport, Report, size
from effaudit.tables import listed, lists
from effaudit.tables.models import of_models
from effaudit.tables.table import Shown, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def render(document: Report, shown: Shown) -> Iterator[str]:
    """The table of models, or the tables that are asked for. Raises UsageError for a column that does not exist."""
    yield f"% counting {document.counting}: FLOPs = 2 MACs + other ops; MACs are convolutions, matrix products,\n"
    yield "% attention and recurrent weights; norms, activations, softmax, pooling and biases are other ops\n"
    for model in document.models:
        yield f"% {_comment(model)}\n"
    for made in of_models(document, shown) if not shown.tables or "totals" in shown.tables or document.pareto else ():
        yield f"% {printable(made.note, None)}\n" * bool(made.note)
        yield from _table(scaled(made))
    for model in document.models:
        for name in lists(shown) if shown.tables else ():
            for made in listed(model, name, shown):
                yield f"% {printable(model.path, None)}: {printable(made.title, None)}\n"
                yield from _table(made)


def _comment(model: ModelReport) -> str:
    """Opsets, input shapes and sizes that were assumed or given."""
    opsets = ", ".join(f"{domain} {version}" for domain, version in model.opsets.items())
    inputs = ", ".join(f"{t.name} {size(t.shape)}" for t in model.inputs)
    sizes = ", ".join(f"{n}={d.value} ({d.origin})" for n, d in model.dims.items() if d.value is not None)
    return printable(f"{model.path}: opset {opsets}; input {inputs}" + f"; {sizes}" * bool(sizes), None)


def _table(made: Table) -> Iterator[str]:
    sides = "".join("r" if column.kind in RIGHT else "l" for column in made.columns)
    yield f"\\begin{{tabular}}{{{sides}}}\n\\toprule\n"
    yield " & ".join(escape(column.title) for column in made.columns) + " \\\\\n\\midrule\n"
    for row in made.rows():
        cells = (text(cell, column) for cell, column in zip(row, made.columns, strict=True))
        yield " & ".join(map(escape, cells)) + " \\\\\n"
    yield "\\bottomrule\n\\end{tabular}\n"


def escape(words: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(_SPECIAL.get(sign, sign) for sign in printable(words, None))
