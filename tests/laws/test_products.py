"""MACs are the multiplications of loops that compute the operator, one number at a time.

The loops' results are compared with ONNX Runtime's, so that what is counted is the operator and nothing else.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnxruntime as ort
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from .models import audit

ort.set_default_logger_severity(4)
Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
SIZE = st.integers(1, 3)
TRIES = settings(max_examples=60, deadline=None)


class Counter:
    """Counts what is multiplied and what is added to a finished product."""

    def __init__(self) -> None:
        self.macs = 0
        self.additions = 0

    def mac(self, total: float, a: float, b: float) -> float:
        self.macs += 1
        return total + a * b

    def add(self, a: float, b: float) -> float:
        self.additions += 1
        return a + b


def numbers(*shape: int) -> Array:
    """Small whole numbers: their sums and products are exact in any order."""
    return np.random.default_rng(sum(shape) + len(shape)).integers(-3, 4, shape).astype(np.float32)


def agree(op: str, inputs: list[Array], expected: Array, count: Counter, **attrs: Any) -> None:
    """The loops made what ONNX Runtime makes, and the audit counts what they did."""
    names = [f"x{i}" for i in range(len(inputs))]
    node = helper.make_node(op, names, ["y"], **attrs)
    declared = [helper.make_tensor_value_info("x0", 1, inputs[0].shape)]
    weights = [numpy_helper.from_array(x, name) for x, name in zip(inputs[1:], names[1:], strict=True)]
    made = helper.make_tensor_value_info("y", 1, expected.shape)
    graph = helper.make_graph([node], "product", declared, [made], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (measured,) = session.run(None, {"x0": inputs[0]})
    np.testing.assert_array_equal(measured, expected)
    report = audit(model)
    assert report.outputs[0].shape == expected.shape
    assert (report.totals.macs, report.totals.ops) == (count.macs, count.additions)


# ---- convolution
@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    """A convolution of rank 1 to 3 whose window fits."""
    rank = draw(st.integers(1, 3))
    several = st.lists(SIZE, min_size=rank, max_size=rank).map(tuple)
    kernel, strides, dilations = draw(several), draw(several), draw(several)
    pads = draw(st.lists(st.integers(0, 2), min_size=2 * rank, max_size=2 * rank))
    spatial = draw(st.lists(st.integers(1, 5), min_size=rank, max_size=rank).map(tuple))
    return {
        "spatial": spatial,
        "kernel": kernel,
        "attrs": {"strides": strides, "dilations": dilations, "pads": pads},
        "batch": draw(st.integers(1, 2)),
        "group": draw(SIZE),
        "cin": draw(st.integers(1, 2)),
        "cout": draw(st.integers(1, 2)),
        "bias": draw(st.booleans()),
    }


@TRIES
@given(windows())
def test_conv(case: dict[str, Any]) -> None:
    attrs, kernel, group, rank = case["attrs"], case["kernel"], case["group"], len(case["kernel"])
    x = numbers(case["batch"], group * case["cin"], *case["spatial"])
    w = numbers(group * case["cout"], case["cin"], *kernel)
    b = numbers(group * case["cout"])
    pads = attrs["pads"]
    padded = np.pad(x, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)])
    spans = [d * (k - 1) + 1 for d, k in zip(attrs["dilations"], kernel, strict=True)]
    sides = [(n - span) // s + 1 for n, span, s in zip(padded.shape[2:], spans, attrs["strides"], strict=True)]
    assume(all(n >= span for n, span in zip(padded.shape[2:], spans, strict=True)))
    count = Counter()
    y = np.zeros((case["batch"], group * case["cout"], *sides), np.float32)
    for n, m, *at in np.ndindex(*y.shape):
        total = 0.0
        for c, *tap in np.ndindex(*w.shape[1:]):
            place = [p * s + t * d for p, s, t, d in zip(at, attrs["strides"], tap, attrs["dilations"], strict=True)]
            channel = m // case["cout"] * case["cin"] + c
            total = count.mac(total, padded[n, channel, *place], w[m, c, *tap])
        y[n, m, *at] = count.add(total, b[m]) if case["bias"] else total
    agree("Conv", [x, w, b] if case["bias"] else [x, w], y, count, group=group, **attrs)


@TRIES
@given(windows())
def test_conv_transpose(case: dict[str, Any]) -> None:
    attrs, kernel, group, rank = case["attrs"], case["kernel"], case["group"], len(case["kernel"])
    x = numbers(case["batch"], group * case["cin"], *case["spatial"])
    w = numbers(group * case["cin"], case["cout"], *kernel)
    b = numbers(group * case["cout"])
    begins, ends = attrs["pads"][:rank], attrs["pads"][rank:]
    axes = zip(case["spatial"], attrs["strides"], attrs["dilations"], kernel, strict=True)
    whole = [s * (n - 1) + d * (k - 1) + 1 for n, s, d, k in axes]
    assume(all(n - a - b > 0 for n, a, b in zip(whole, begins, ends, strict=True)))
    count = Counter()
    spread = np.zeros((case["batch"], group * case["cout"], *whole), np.float32)
    for n, c, *at in np.ndindex(*x.shape):
        for m, *tap in np.ndindex(*w.shape[1:]):
            place = [p * s + t * d for p, s, t, d in zip(at, attrs["strides"], tap, attrs["dilations"], strict=True)]
            target = (n, c // case["cin"] * case["cout"] + m, *place)
            spread[target] = count.mac(spread[target], x[n, c, *at], w[c, m, *tap])
    y = spread[:, :, *(slice(a, n - b) for a, n, b in zip(begins, whole, ends, strict=True))]
    if case["bias"]:
        y = y.copy()
        for place in np.ndindex(*y.shape):
            y[place] = count.add(y[place], b[place[1]])
    agree("ConvTranspose", [x, w, b] if case["bias"] else [x, w], y, count, group=group, **attrs)


# ---- matrix products
@TRIES
@given(st.lists(SIZE, max_size=2), st.lists(st.booleans(), min_size=4, max_size=4), SIZE, SIZE, SIZE)
def test_matmul(lead: list[int], drop: list[bool], m: int, k: int, n: int) -> None:
    """Leading axes broadcast: on either side one may be 1 or missing; vectors have no row or column."""
    left = [1 if drop[0] and i else size for i, size in enumerate(lead)]
    right = lead[1:] if drop[1] else lead
    a = numbers(k) if drop[2] and not left else numbers(*left, m, k)
    b = numbers(k) if drop[3] else numbers(*right, k, n)
    count = Counter()
    y = np.zeros(np.matmul(a, b).shape, np.float32)
    rows = a if a.ndim > 1 else a[None, :]
    columns = b if b.ndim > 1 else b[:, None]
    shared = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    rows = np.broadcast_to(rows, shared + rows.shape[-2:])
    columns = np.broadcast_to(columns, shared + columns.shape[-2:])
    full = np.zeros((*shared, rows.shape[-2], columns.shape[-1]), np.float32)
    for *outer, i, j in np.ndindex(*full.shape):
        for inner in range(k):
            full[*outer, i, j] = count.mac(full[*outer, i, j], rows[*outer, i, inner], columns[*outer, inner, j])
    y = full.reshape(y.shape)
    agree("MatMul", [a, b], y, count)


@TRIES
@given(SIZE, SIZE, SIZE, st.booleans(), st.booleans(), st.sampled_from([None, (1,), "n", "m1", "mn"]))
def test_gemm(m: int, k: int, n: int, flip_a: bool, flip_b: bool, bias: Any) -> None:
    a, b = numbers(m, k), numbers(k, n)
    shapes: dict[Any, Shape] = {(1,): (1,), "n": (n,), "m1": (m, 1), "mn": (m, n)}
    c = None if bias is None else numbers(*shapes[bias])
    count = Counter()
    y = np.zeros((m, n), np.float32)
    for i, j in np.ndindex(m, n):
        for inner in range(k):
            y[i, j] = count.mac(y[i, j], a[i, inner], b[inner, j])
        if c is not None:
            y[i, j] = count.add(y[i, j], np.broadcast_to(c, (m, n))[i, j])
    inputs = [a.T.copy() if flip_a else a, b.T.copy() if flip_b else b, *([] if c is None else [c])]
    agree("Gemm", inputs, y, count, transA=int(flip_a), transB=int(flip_b))


# ---- einsum
@st.composite
def equations(draw: st.DrawFn) -> tuple[list[str], str, dict[str, int]]:
    """One to three terms over four labels, and an output of some of them in any order."""
    terms = draw(st.lists(st.permutations("ijkl").flatmap(_some), min_size=1, max_size=3))
    used = sorted({label for term in terms for label in term})
    output = draw(st.permutations(used).flatmap(_some))
    return terms, output, {label: draw(SIZE) for label in used}


def _some(labels: Any) -> st.SearchStrategy[str]:
    return st.integers(0, min(3, len(labels))).map(lambda n: "".join(labels[:n]))


Table = dict[tuple[int, ...], float]


def summed(term: str, kept: str, values: Table, count: Counter) -> Table:
    """A term without the labels that are only its own: one addition per element, or none where nothing is dropped."""
    if set(kept) == set(term):
        return values
    result: Table = {}
    for place, value in values.items():
        key = tuple(place[term.index(label)] for label in kept)
        result[key] = count.add(result.get(key, 0.0), value)
    return result


def joined(left: str, a: Table, right: str, b: Table, out: str, sizes: dict[str, int], count: Counter) -> Table:
    """The product of two terms, summed over what `out` does not need."""
    labels = "".join(dict.fromkeys(left + right))
    result: Table = {}
    for place in product(*(range(sizes[label]) for label in labels)):
        at = dict(zip(labels, place, strict=True))
        key = tuple(at[label] for label in out)
        x, y = a[tuple(at[label] for label in left)], b[tuple(at[label] for label in right)]
        result[key] = count.mac(result.get(key, 0.0), x, y)
    return result


@TRIES
@given(equations())
def test_einsum(case: tuple[list[str], str, dict[str, int]]) -> None:
    terms, output, sizes = case
    arrays = [numbers(*(sizes[label] for label in term)) for term in terms]
    count = Counter()
    alone = []
    for i, (term, array) in enumerate(zip(terms, arrays, strict=True)):
        others = set(output).union(*(other for j, other in enumerate(terms) if j != i))
        kept = "".join(label for label in term if label in others)
        alone.append((kept, summed(term, kept, {at: float(array[at]) for at in np.ndindex(*array.shape)}, count)))
    labels, values = alone[0]
    for i, (term, table) in enumerate(alone[1:], 1):
        needed = set(output).union(*(other for other, _ in alone[i + 1 :]))
        kept = "".join(label for label in dict.fromkeys(labels + term) if label in needed)
        values = joined(labels, values, term, table, kept, sizes, count)
        labels = kept
    y = np.zeros([sizes[label] for label in output], np.float32)
    for place, value in values.items():
        y[tuple(place[labels.index(label)] for label in output)] = value
    agree("Einsum", arrays, y, count, equation=f"{','.join(terms)}->{output}")
