"""What a benchmark returns, and what all of them are given."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Contender, Figures, Series, cpu, rss, wall

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Section:
    title: str
    notes: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        table = [self.header, tuple("---" for _ in self.header), *self.rows]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
        return "\n".join([f"## {self.title}", "", *(f"{note}\n" for note in self.notes), *lines])


@dataclass(frozen=True)
class Bench:
    """The settings of one run."""

    effaudit: tuple[str, ...]
    models: Path
    envs: Path
    repeats: int
    sizes: tuple[int, ...]

    def model(self, name: str) -> Path:
        """Writes the model (once per run of the benchmarks) in a process of its own."""
        path = self.models / name / "model.onnx"
        if not path.exists():
            subprocess.run(
                [sys.executable, "-m", "benchmarks.models", name, self.models],
                cwd=ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        return path

    def contender(self, name: str, *arguments: str | Path) -> Contender:
        return Contender(name, (*self.effaudit, *map(str, arguments)), ROOT)


MEASURES = ("wall ms", "CPU ms", "peak MB")


@dataclass(frozen=True)
class Target:
    """A bound, its wording and whether the figures keep it."""

    text: str
    met: bool

    @classmethod
    def joined(cls, *targets: Target) -> Target:
        return cls(", ".join(t.text for t in targets), all(t.met for t in targets))

    def cells(self) -> tuple[str, str]:
        return self.text, "met" if self.met else "**missed**"


def process_row(series: Series, target: Target | None = None) -> tuple[str, ...]:
    """One contender: median (min-max) of each measure."""
    if series.failure:
        return (series.name, series.failure, *[""] * 4)
    figures = (series.of(wall), series.of(cpu), series.of(rss))
    scales, digits = (1e3, 1e3, 1e-6), (0, 0, 1)
    return (series.name, *map(spread, figures, scales, digits), *(target.cells() if target else ("", "")))


def ratio_row(name: str, over: Series, under: Series, at_least: Sequence[float | None]) -> tuple[str, ...]:
    """How many times `over` needs what `under` needs, measure by measure; None where there is no target."""
    if over.failure or under.failure:
        return (name, "not measured", *[""] * 4)
    ratios = [over.of(metric).over(under.of(metric)) for metric in (wall, cpu, rss)]
    texts = [(label, bound) for label, bound in zip(("wall", "CPU", "memory"), at_least, strict=True) if bound]
    met = all(r.median >= bound for r, bound in zip(ratios, at_least, strict=True) if bound)
    target = Target(", ".join(f"{label} ≥ {bound:g}x" for label, bound in texts), met)
    return (name, *(f"{ratio.median:.1f}x" for ratio in ratios), *target.cells())


def spread(figures: Figures, scale: float, digits: int) -> str:
    low, middle, high = (scale * v for v in (min(figures.values), figures.median, max(figures.values)))
    return f"{middle:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"
