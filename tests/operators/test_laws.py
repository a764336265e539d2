"""A formula in a file is the rule in the program: the built-in operators, defined again under another domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from effaudit import dims, operators
from effaudit.graph import Graph
from effaudit.table import CostTable

from .models import costs, defined, node, save, zeros

CONV = """\
  - op: acme::Conv
    inputs: [x, w, b?]
    outputs:
      - shape:
          - x[0]
          - w[0]
          - >-
            (x[2] + attrs.get('pads', (0, 0, 0, 0))[0] + attrs.get('pads', (0, 0, 0, 0))[2]
            - attrs.get('dilations', (1, 1))[0] * (w[2] - 1) - 1) // attrs.get('strides', (1, 1))[0] + 1
          - >-
            (x[3] + attrs.get('pads', (0, 0, 0, 0))[1] + attrs.get('pads', (0, 0, 0, 0))[3]
            - attrs.get('dilations', (1, 1))[1] * (w[3] - 1) - 1) // attrs.get('strides', (1, 1))[1] + 1
    macs: numel(out) * numel(w[1:])
    ops: numel(out) if b else 0
    kind: conv
"""
GEMM = """\
  - op: acme::Gemm
    inputs: [a, b, c?]
    outputs:
      - shape: >-
          (a[1] if attrs.get('transA', 0) else a[0],
          b[0] if attrs.get('transB', 0) else b[1])
    macs: numel(out) * (a[0] if attrs.get('transA', 0) else a[1])
    ops: numel(out) * (1 if c else 0)
    kind: gemm
"""
MATMUL = """\
  - op: acme::MatMul
    inputs: [a, b]
    outputs: [{shape: "(*a[:-1], b[-1])"}]
    macs: numel(out) * a[-1]
    ops: 0
    kind: gemm
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> operators.Operators:
    return defined(tmp_path_factory.mktemp("ops"), CONV + GEMM + MATMUL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def both(
    folder: Path, found: operators.Operators, op: str, x: tuple[Any, ...], *weights: tuple[int, ...], **attrs: Any
) -> list[tuple[Graph, CostTable]]:
    """The same node in the standard domain and in ours."""
    constants = [zeros(f"w{i}", *shape) for i, shape in enumerate(weights)]
    inputs = ["x", *(c.name for c in constants)]
    paths = [
        save(folder / f"{domain or 'onnx'}.onnx", [node(op, inputs, ["y"], domain, **attrs)], {"x": x}, constants)
        for domain in ("", "acme")
    ]
    return [costs(path, found) for path in paths]


def assert_equal(pair: list[tuple[Graph, CostTable]]) -> None:
    (theirs, built_in), (ours, priced) = pair
    assert priced.complete and built_in.complete
    assert ours.values["y"].shape == theirs.values["y"].shape
    assert priced.low.figures == built_in.low.figures
    assert priced.low.macs != 0


side = st.integers(1, 4)
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@given(st.data())
@SETTINGS
def test_conv(folder: Path, found: operators.Operators, data: st.DataObject) -> None:
    group, cin, cout = data.draw(side), data.draw(side), data.draw(side)
    kernel = data.draw(st.tuples(side, side))
    attrs = {
        "strides": data.draw(st.tuples(side, side)),
        "dilations": data.draw(st.tuples(side, side)),
        "pads": data.draw(st.tuples(*[st.integers(0, 2)] * 4)),
    }
    attrs = {name: attrs[name] for name in data.draw(st.sets(st.sampled_from(sorted(attrs))))}
    sides = data.draw(st.tuples(*[st.integers(13, 20)] * 2))
    batch = data.draw(st.sampled_from((1, 3, "batch")))
    weights = [(cout * group, cin, *kernel), (cout * group,)][: data.draw(st.integers(1, 2))]
    assert_equal(both(folder, found, "Conv", (batch, cin * group, *sides), *weights, group=group, **attrs))


@given(side, side, side, st.booleans(), st.booleans(), st.booleans())
@SETTINGS
def test_gemm(
    folder: Path, found: operators.Operators, m: int, k: int, n: int, turn_a: bool, turn_b: bool, bias: bool
) -> None:
    attrs = {name: 1 for name, on in (("transA", turn_a), ("transB", turn_b)) if on}
    a, b = (k, m) if turn_a else (m, k), (n, k) if turn_b else (k, n)
    assert_equal(both(folder, found, "Gemm", a, b, *([(n,)] if bias else []), **attrs))


@given(st.lists(side | st.sampled_from(("p", "q")), min_size=1, max_size=4), side, side)
@SETTINGS
def test_matmul(folder: Path, found: operators.Operators, lead: list[int | str], k: int, n: int) -> None:
    pair = both(folder, found, "MatMul", (*lead, k), (k, n))
    assert_equal(pair)
    macs = pair[1][1].low.macs
    assert macs is not None
    total = k * n
    for size in lead:
        total *= {"p": 3, "q": 5}.get(size, size)  # type: ignore[arg-type]
    assert dims.evaluate(macs, {"p": 3, "q": 5}) == total
