"""The tables of docs/validation.md, from a run over the corpus."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from effaudit.cli import cli
from tests.corpus.params import CLASSES, explained
from tests.corpus.score import Result, score

Count = Callable[[Sequence[Result]], str]


def tables(corpus: Path) -> dict[str, str]:
    """The generated parts of the page, by name."""
    results = score(corpus)
    failing = [r.file for r in results if not _succeeds(corpus / "models" / r.file)]
    return {"score": _score(results, failing), "classes": _classes(), "parameters": _parameters(results)}


def _succeeds(model: Path) -> bool:
    """Whether `effaudit report` ends with exit code 0, nothing given."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return not cli.main(args=["report", str(model)], prog_name="effaudit", standalone_mode=False)
        except Exception:  # whatever it is, the command would not end with 0
            return False


def _score(results: Sequence[Result], failing: Sequence[str]) -> str:
    groups = [[r for r in results if r.group == group] for group in ("exported", "real")]
    lines = [_row(("", "exported", "real", "all")), _row(("---", "--:", "--:", "--:"))]
    for title, count in _counts(failing):
        lines.append(_row((title, *(count(group) for group in (*groups, results)))))
    return "\n".join(lines)


def _counts(failing: Sequence[str]) -> Iterable[tuple[str, Count]]:
    """(title, what to count) of every line; counts are of files unless the title says otherwise."""

    def files(holds: Callable[[Result], bool]) -> Count:
        return lambda group: f"{sum(map(holds, group)):,}"

    def tensors(figure: Callable[[Result], int]) -> Count:
        return lambda group: f"{sum(map(figure, group)):,}"

    yield "files", files(lambda r: True)
    yield "reported with exit code 0", files(lambda r: r.file not in failing)
    yield "`macs` exact", files(lambda r: r.macs == "exact")
    yield "`macs` a range that holds the truth", files(lambda r: r.macs == "holds")
    yield "`macs` wrong", files(lambda r: r.macs == "wrong")
    yield "`constant_elements` exact", files(lambda r: r.elements)
    yield "no shape depends on the values fed", files(lambda r: not r.data_dependent)
    yield "of these, `live_bytes` exact", files(lambda r: r.live and not r.data_dependent)
    yield "tensors, inputs given: shape right", tensors(lambda r: r.bound.right)
    yield "tensors, inputs given: bounded or unknown", tensors(lambda r: r.bound.untold)
    yield "tensors, inputs given: wrong", tensors(lambda r: len(r.bound.wrong))
    yield "files with open dims", files(lambda r: r.symbolic is not None)
    yield "tensors, nothing given: formula right", tensors(lambda r: r.symbolic.right if r.symbolic else 0)
    yield "tensors, nothing given: bounded or unknown", tensors(lambda r: r.symbolic.untold if r.symbolic else 0)
    yield "tensors, nothing given: wrong", tensors(lambda r: len(r.symbolic.wrong) if r.symbolic else 0)
    known = explained()
    yield "a framework's parameter count is known", files(lambda r: r.params_truth is not None)
    yield "`params` equal to it", files(lambda r: r.params == r.params_truth)
    yield "`params` different, explained below", files(lambda r: _explains(known, r))
    yield "`params` different, not explained", files(lambda r: _differs(r) and not _explains(known, r))


def _differs(result: Result) -> bool:
    return result.params_truth is not None and result.params != result.params_truth


def _explains(known: dict[str, dict[str, int]], result: Result) -> bool:
    if result.params_truth is None or not _differs(result):
        return False
    return result.params - result.params_truth == sum(known.get(result.file, {}).values())


def _classes() -> str:
    files = {name: sum(name in parts for parts in explained().values()) for name in CLASSES}
    rows = [_row((name, str(files[name]), meaning)) for name, meaning in CLASSES.items()]
    return "\n".join([_row(("Class", "Files", "What happened")), _row(("---", "--:", "---")), *rows])


def _parameters(results: Sequence[Result]) -> str:
    lines = [
        _row(("File", "Framework", "effaudit", "Difference", "Class")),
        _row(("---", "--:", "--:", "--:", "---")),
    ]
    known = explained()
    order = list(CLASSES)
    differing = [r for r in results if r.file in known]
    for r in sorted(differing, key=lambda r: ([order.index(c) for c in known[r.file]], r.file)):
        parts = known[r.file]
        assert r.params_truth is not None
        why = "; ".join(parts) if len(parts) == 1 else "; ".join(f"{name} {n:+,}" for name, n in parts.items())
        cells = (f"`{r.file}`", f"{r.params_truth:,}", f"{r.params:,}", f"{r.params - r.params_truth:+,}", why)
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
