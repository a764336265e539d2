"""What a report says in symbols is what it says in numbers once they are bound."""

from __future__ import annotations

import random
from functools import cache

import pytest

from effaudit import dims
from effaudit.load import Given, load
from effaudit.report import ModelReport

from .models import DYNAMIC, sample
from .sizes import evaluate

TRIES = 5
# The most positions a model has a place for.
LONGEST = {"bert-base": 512, "dynamic": 128}
FIGURES = {"macs": "macs", "ops": "ops", "read_bytes": "read_bytes", "write_bytes": "write_bytes"}
# An If whose condition is fed has bounds, and no one number.
WITHOUT_MACS = ("control-flow",)


def sizes(name: str) -> list[dict[str, int]]:
    """Several bindings of all open dims, small and large, the same in every run."""
    draw = random.Random(name)
    longest = LONGEST.get(name, 2000)
    found = [dict.fromkeys(DYNAMIC[name], 1), {dim: int(not dim.startswith("past")) for dim in DYNAMIC[name]}]
    for _ in range(TRIES - 2):
        found.append({dim: draw.randint(1, 8 if dim == "batch" else longest) for dim in DYNAMIC[name]})
    return found


@cache
def symbolic(name: str) -> ModelReport:
    return sample(name)


@pytest.mark.parametrize("name", DYNAMIC)
def test_every_open_dim_is_known_here(name: str) -> None:
    assert {dim for dim, info in symbolic(name).dims.items() if info.origin == "assumed"} == set(DYNAMIC[name])


@pytest.mark.parametrize("name", [n for n in DYNAMIC if n not in WITHOUT_MACS])
def test_formulas_at_bound_sizes_are_the_numbers(name: str) -> None:
    formulas = symbolic(name).formulas
    assert formulas is not None
    for binding in sizes(name):
        bound = sample(name, **binding)
        assert bound.formulas is None
        for formula, figure in FIGURES.items():
            text = formulas[formula]
            assert text is not None, formula
            assert evaluate(text, binding) == getattr(bound.totals, figure), (formula, binding)


def test_the_formula_of_an_encoder() -> None:
    """Twelve layers of 768: 2 x 12 x 768 for the products of attention, 12 x 12 x 768^2 for the weights; the pooler."""
    formulas = symbolic("bert-base").formulas
    assert formulas is not None
    assert formulas["macs"] == "18432*batch*sequence**2 + 84934656*batch*sequence + 589824*batch"


@pytest.mark.parametrize("name", DYNAMIC)
def test_the_formula_of_live_bytes(name: str) -> None:
    """It may be too long to be told; told, it is right at every size."""
    formulas = symbolic(name).formulas
    assert formulas is not None
    text = formulas["live_bytes"]
    for binding in sizes(name) if text is not None else ():
        assert text is not None and evaluate(text, binding) == sample(name, **binding).memory.live_bytes, binding


@pytest.mark.parametrize("name", DYNAMIC)
def test_every_shape_at_bound_sizes(name: str) -> None:
    """Every tensor of every node, not only the outputs."""
    graph = load(f"sample:{name}")
    for binding in sizes(name):
        bound = load(f"sample:{name}", Given(dims=binding))
        assert bound.values.keys() == graph.values.keys()
        for tensor, value in graph.values.items():
            assert value.shape is not None, tensor
            for dim, size in zip(value.shape, bound.values[tensor].shape or (), strict=True):
                if all(s.origin == "input" for s in dims.symbols(dim)):
                    assert evaluate(dims.text(dim), binding) == size, (tensor, binding)


@pytest.mark.parametrize("name", DYNAMIC)
def test_binding_in_two_ways(name: str) -> None:
    """By the names of dims, and by the shapes of inputs."""
    binding = sizes(name)[-1]
    graph = load(f"sample:{name}")
    shapes = {
        tensor: tuple(evaluate(dims.text(dim), binding) for dim in graph.values[tensor].shape or ())
        for tensor in graph.inputs
    }
    by_shape = load(f"sample:{name}", Given(shapes=shapes))
    by_name = load(f"sample:{name}", Given(dims=binding))
    assert {t: v.shape for t, v in by_shape.values.items()} == {t: v.shape for t, v in by_name.values.items()}
