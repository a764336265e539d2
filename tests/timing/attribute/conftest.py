from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest

from effaudit.audited import Audited, examine
from effaudit.graph import Graph
from effaudit.timing.attribute import Attributed, attribute, optimized_graph
from tests.timing.attribute.nets import BUILT
from tests.timing.attribute.numeric import optimize

SAMPLES = Path(__file__).parents[3] / "sample_models"


@dataclass(frozen=True)
class Pair:
    """A model, and what ONNX Runtime made of it."""

    path: Path
    saved: Path
    audited: Audited
    optimized: Graph
    found: tuple[Attributed, ...]

    def nodes_of(self, label: str) -> set[frozenset[str]]:
        """What the kernels that compute a node compute together with it, by label."""
        nodes = self.audited.graph.nodes
        sets = [[nodes[n].label for n in one.nodes] for one in self.found if one.role == "computes"]
        return {frozenset(labels) for labels in sets if label in labels}


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """A network by its name in `nets.BUILT`, or a sample, optimized once."""
    folder = tmp_path_factory.mktemp("optimized")
    made: dict[str, Pair] = {}

    def get(name: str) -> Pair:
        if name not in made:
            path = SAMPLES / f"{name}.onnx"
            if name in BUILT:
                path = folder / f"{name}.onnx"
                onnx.save(BUILT[name](), str(path))
            saved = folder / f"{name}.optimized.onnx"
            optimize(path, saved)
            audited = examine(str(path))
            optimized = optimized_graph(str(saved), audited)
            made[name] = Pair(path, saved, audited, optimized, attribute(audited.graph, optimized))
        return made[name]

    return get
