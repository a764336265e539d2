"""The Python interface: `effaudit.audit(path, dims=...)`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from effaudit.errors import UsageError
from effaudit.load.binding import Given
from effaudit.render import render
from effaudit.report import TOP, VIEWS, Asked, ModelReport, report
from effaudit.report import audit as _audit
from effaudit.tables import joined, of
from effaudit.tables.table import NONE, Shown, Span, Table

if TYPE_CHECKING:
    import pandas

    from effaudit.operators import Operators


class Audit(ModelReport, frozen=True):
    """The report of one model; its fields are those of the JSON document."""

    def to_dict(self) -> dict[str, Any]:
        """The model's entry in the document of `effaudit report --json`."""
        made: dict[str, Any] = msgspec.json.decode("".join(render("json", report([self]), Shown())))
        entry: dict[str, Any] = made["models"][0]
        return entry

    def to_dataframe(self, table: str = "nodes") -> pandas.DataFrame:
        """A table of the report ("nodes", "groups", "hot", ...) as a pandas data frame; ranges as (low, high).

        Raises UsageError where pandas is not installed, or the report has no such table.
        """
        try:
            import pandas
        except ImportError:
            raise UsageError("to_dataframe needs pandas: pip install pandas") from None
        made = _table(self, table)
        rows = [[_plain(cell) for cell in row] for row in made.rows()]
        return pandas.DataFrame(rows, columns=[column.key for column in made.columns])

    def _repr_html_(self) -> str:
        return "".join(render("html", report([self]), Shown()))

    def __str__(self) -> str:
        return "".join(render("text", report([self]), Shown()))


def audit(
    path: str | os.PathLike[str],
    *,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    operators: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Operators = (),
    views: str | Iterable[str] = (),
    group_by: str | Iterable[str] = (),
    against: str | Iterable[str] = (),
    top: int = TOP,
) -> Audit:
    """Everything known of one model: a path, `sample:NAME` or an http(s) address.

    `dims` are sizes of named dims, `shapes` of inputs; `operators` files with formulas of operators of your own, or
    what `effaudit.operators.read` made of them. One name stands for a list of one. The
    `views` are those of `effaudit.report.VIEWS`; `group_by` keys as in `--group-by`; `against` published figures.
    Raises LoadError, LimitError, UsageError: an EffauditError whose text is one line for a person.
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"a model is a path, sample:NAME or an address, not {type(path).__name__}")
    if type(top) is not int or top < 1:
        raise UsageError(f"top is {top!r}; a whole number from 1")
    wanted = frozenset(_several(views, "views"))
    if unknown := wanted - set(VIEWS):
        raise UsageError(f"views: {sorted(unknown)[0]!r}: expected of {', '.join(VIEWS)}")
    for what, value in (("dims", dims), ("shapes", shapes)):
        if value is not None and not isinstance(value, Mapping):
            raise UsageError(f"{what}: expected a mapping of names to sizes, got {type(value).__name__}")
    given = Given(dict(dims or {}), {name: tuple(shape) for name, shape in (shapes or {}).items()})
    asked = Asked(wanted, _several(group_by, "group_by"), _several(against, "against"), top)
    made = _audit(path, given, asked, _definitions(operators))
    return Audit(**{field: getattr(made, field) for field in made.__struct_fields__})


def _several(names: str | Iterable[str], what: str) -> tuple[str, ...]:
    found = (names,) if isinstance(names, str) else tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(name, str) for name in found):
        raise UsageError(f"{what}: expected texts, got {found!r:.60}")
    return found


def _definitions(operators: Any) -> Any:
    if isinstance(operators, Mapping):
        return operators or None
    files = [operators] if isinstance(operators, str | os.PathLike) else list(operators)
    if not files:
        return None
    from effaudit.operators import read

    return read(*files)


def _table(model: ModelReport, name: str) -> Table:
    """One table of a list. Raises UsageError where the report has none of the name."""
    asked = {"nodes": True, "hot": True, "groups": model.groups is not None, "transformer": True}
    fields = ("movement", "receptive_field", "winograd", "weights", "against")
    asked |= {field.replace("_", "-"): bool(getattr(model, field)) for field in fields}
    made = joined(of(model, name)) if asked.get(name) else None
    if made is None:
        has = ", ".join(key for key, there in asked.items() if there)
        raise UsageError(
            f"the report has no table {name!r}; it has {has}; audit(..., views=..., group_by=...) has more"
        )
    return made


def _plain(cell: Any) -> Any:
    if isinstance(cell, Span):
        return (cell.low, cell.high)
    return None if cell == NONE else cell
