"""What a worked example is: an id, the correct value, and the figure of one or more audits that must equal it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import pytest
from onnx import ModelProto

from effaudit.report import ModelReport, NodeReport

KIB, MIB = 1024, 1024**2
Value = int | float | str
Figure = Callable[..., Value]
Built = Callable[[], ModelProto] | str  # a builder, or the name of a shipped sample
Audited = Callable[[Built], ModelReport]


@dataclass(frozen=True)
class Example:
    """`figure` of the audits of `graphs` is `value`: to the last digit where that is an integer."""

    id: str
    value: Value
    about: str
    figure: Figure
    graphs: tuple[Built, ...]

    def check(self, audited: Audited) -> None:
        found = self.figure(*(audited(graph) for graph in self.graphs))
        wanted = pytest.approx(self.value, rel=1e-12) if isinstance(self.value, float) else self.value
        assert found == wanted, f"{self.id}: {self.about}"


def example(id: str, value: Value, about: str, figure: Figure, *graphs: Built) -> Example:
    return Example(id, value, about, figure, graphs)


def each(examples: Iterable[Example]) -> Any:
    """Parametrises a test over examples, by id."""
    return pytest.mark.parametrize("example", [pytest.param(e, id=e.id) for e in examples])


# ---- figures of one audit
def macs(model: ModelReport) -> int:
    assert model.totals.macs is not None
    return model.totals.macs


def params(model: ModelReport) -> int:
    return model.totals.params


def ops(model: ModelReport) -> int:
    assert model.totals.ops is not None
    return model.totals.ops


def flops(model: ModelReport) -> int:
    """Of the products alone, as papers count: two per MAC."""
    return 2 * macs(model)


def elements(model: ModelReport) -> int:
    """Of the first output."""
    return prod(_ints(model.outputs[0].shape))


def input_elements(model: ModelReport) -> int:
    return prod(_ints(model.inputs[0].shape))


def side(model: ModelReport) -> int:
    """Height of the first output, which is square."""
    _, _, h, w = _ints(model.outputs[0].shape)
    assert h == w
    return h


def positions(model: ModelReport) -> int:
    """Places where the first output has channels."""
    return prod(_ints(model.outputs[0].shape)[2:])


def moved_out(model: ModelReport) -> int:
    """Bytes of everything the nodes write."""
    assert model.totals.write_bytes is not None
    return model.totals.write_bytes


def in_out(model: ModelReport) -> int:
    """`max_in_out_bytes`"""
    assert model.memory.max_in_out_bytes is not None
    return model.memory.max_in_out_bytes


# ---- figures of one node
def node(model: ModelReport, name: str) -> NodeReport:
    (found,) = (n for n in model.nodes if n.name == name)
    return found


def node_elements(found: NodeReport) -> int:
    return prod(_ints(found.outputs[0].shape))


def node_macs(name: str) -> Callable[[ModelReport], int]:
    def figure(model: ModelReport) -> int:
        count = node(model, name).macs
        assert count is not None
        return count

    return figure


def node_params(name: str) -> Callable[[ModelReport], int]:
    return lambda model: node(model, name).params


def node_out(name: str) -> Callable[[ModelReport], int]:
    return lambda model: node_elements(node(model, name))


# ---- figures of figures
def per(unit: float, figure: Figure) -> Figure:
    return lambda *models: figure(*models) / unit  # type: ignore[operator]


def ratio(figure: Figure) -> Figure:
    """Of the first audit to the second."""
    return lambda one, other: figure(one) / figure(other)  # type: ignore[operator]


def sums(*figures: Figure) -> Figure:
    return lambda *models: sum(figure(*models) for figure in figures)  # type: ignore[misc]


def percent(part: Figure, whole: Figure) -> Figure:
    return lambda *models: 100 * part(*models) / whole(*models)  # type: ignore[operator]


def _ints(shape: tuple[int | str, ...] | None) -> tuple[int, ...]:
    assert shape is not None and all(isinstance(dim, int) for dim in shape), shape
    return tuple(int(dim) for dim in shape)
