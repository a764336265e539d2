"""Winograd's counts against convolutions really computed that way, one tile after the other."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from effaudit.audited import Audited, examine
from effaudit.views.winograd import F2, F4, INSIDE, INTEGER, Algorithm, Count, Winograd, winograd

from ..examples.graphs import INT8, Net

Array = np.ndarray[Any, Any]
# Lavin and Gray 2016, sections 4.1 and 4.3: https://arxiv.org/abs/1509.09308
BT = {
    2: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    4: [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
}
G = {
    2: [[1, 0, 0], ["1/2", "1/2", "1/2"], ["1/2", "-1/2", "1/2"], [0, 0, 1]],
    4: [
        ["1/4", 0, 0],
        ["-1/6", "-1/6", "-1/6"],
        ["-1/6", "1/6", "-1/6"],
        ["1/24", "1/12", "1/6"],
        ["1/24", "-1/12", "1/6"],
        [0, 0, 1],
    ],
}
AT = {
    2: [[1, 1, 1, 0], [0, 1, -1, -1]],
    4: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
}


def matrix(rows: Any) -> Array:
    return np.array([[Fraction(x) for x in row] for row in rows], dtype=object)


def audited(model: ModelProto, folder: Path) -> Audited:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return examine(path)


def found(model: ModelProto, folder: Path) -> Winograd:
    return winograd(audited(model, folder))


def direct(x: Array, w: Array, groups: int, pads: tuple[int, ...]) -> Array:
    """Convolution by its definition; x is C x spatial, w is M x C/groups x 3 (x 3)."""
    c_out, per_group, *_ = w.shape
    rank = x.ndim - 1
    x = np.pad(x, [(0, 0), *zip(pads[:rank], pads[rank:], strict=True)])
    sizes = [d - 2 for d in x.shape[1:]]
    y = np.zeros((c_out, *sizes), dtype=object)
    for m in range(c_out):
        first = m // (c_out // groups) * per_group
        for at in np.ndindex(*sizes):
            window = x[(slice(first, first + per_group), *(slice(i, i + 3) for i in at))]
            y[(m, *at)] = (window * w[m]).sum()
    return y


def by_winograd(x: Array, w: Array, groups: int, pads: tuple[int, ...], m: int) -> tuple[Array, dict[str, int]]:
    """The same by F(m, 3) along every axis, and what it did: element-wise products and transforms of tiles."""
    c_out, per_group, *_ = w.shape
    c_in, rank, t = x.shape[0], x.ndim - 1, m + 2
    sizes = [d + pads[i] + pads[rank + i] - 2 for i, d in enumerate(x.shape[1:])]
    tiles = [range(0, size, m) for size in sizes]
    wide = np.pad(x, [(0, 0), *((pads[i], pads[rank + i] + m) for i in range(rank))])
    bt, g, at = matrix(BT[m]), matrix(G[m]), matrix(AT[m])

    def transformed(a: Array, by: Array) -> Array:
        a = by @ a
        return a @ by.T if rank == 2 else a

    u = {(i, j): transformed(w[i, j], g) for i in range(c_out) for j in range(per_group)}
    y = np.zeros((c_out, *(len(r) * m for r in tiles)), dtype=object)
    done = {"tiles": 0, "products": 0, "data": 0, "output": 0}
    for place in np.ndindex(*map(len, tiles)):
        corner = [p * m for p in place]
        cells = tuple(slice(c, c + t) for c in corner)
        done["tiles"] += 1
        data = [transformed(wide[(c, *cells)], bt) for c in range(c_in)]
        done["data"] += c_in
        for i in range(c_out):
            first = i // (c_out // groups) * per_group
            total = np.zeros((t,) * rank, dtype=object)
            for j in range(per_group):
                total = total + data[first + j] * u[i, j]
                done["products"] += t**rank
            y[(i, *(slice(c, c + m) for c in corner))] = transformed(total, at)
            done["output"] += 1
    return y[(slice(None), *(slice(0, s) for s in sizes))], done


def convolution(x: Array, c_out: int, groups: int, pads: tuple[int, ...], op: str = "Conv") -> ModelProto:
    net = Net()
    name = net.input(1, *x.shape)
    rank = x.ndim - 1
    w = net.weight(c_out, x.shape[0] // groups, *[3] * rank)
    sizes = tuple(d + pads[i] + pads[rank + i] - 2 for i, d in enumerate(x.shape[1:]))
    return net.model(net.node(op, [name, w], (1, c_out, *sizes), group=groups, pads=list(pads)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_counts_are_what_a_real_one_does(data: st.DataObject, tmp_path: Path) -> None:
    rank = data.draw(st.integers(1, 2))
    groups, per_group, per_out = (data.draw(st.integers(1, 2)) for _ in range(3))
    spatial = [data.draw(st.integers(3, 9)) for _ in range(rank)]
    pads = tuple(data.draw(st.integers(0, 2)) for _ in range(2 * rank))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    x = rng.integers(-5, 6, (groups * per_group, *spatial)).astype(object)
    w = rng.integers(-5, 6, (groups * per_out, per_group, *[3] * rank)).astype(object)
    (row,) = found(convolution(x, groups * per_out, groups, pads), tmp_path).rows
    wanted = direct(x, w, groups, pads)
    assert row.macs == wanted.size * per_group * 3**rank
    for f, count in ((F2, row.f2), (F4, row.f4)):
        made, done = by_winograd(x, w, groups, pads, f.outputs)
        assert (made == wanted).all()
        assert (count.tiles, count.multiplications) == (done["tiles"], done["products"])
        additions, products = nested(f, rank, "data"), nested(f, rank, "output")
        assert count.data_additions == done["data"] * additions[0]
        assert count.output_additions == done["output"] * products[0]
        assert count.constant_multiplications == done["data"] * additions[1] + done["output"] * products[1]


class Counted:
    """A number that counts the additions and the products by constants that it goes through."""

    def __init__(self, value: Fraction, tally: list[int]) -> None:
        self.value, self.tally = value, tally

    def __add__(self, other: Counted) -> Counted:
        self.tally[0] += 1
        return Counted(self.value + other.value, self.tally)

    def __sub__(self, other: Counted) -> Counted:
        self.tally[0] += 1
        return Counted(self.value - other.value, self.tally)

    def __rmul__(self, by: int) -> Counted:
        self.tally[1] += 1
        return Counted(by * self.value, self.tally)


def data_2(d: list[Any]) -> list[Any]:
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def output_2(m: list[Any]) -> list[Any]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def data_4(d: list[Any]) -> list[Any]:
    a, b, c, e = d[4] - 4 * d[2], d[3] - 4 * d[1], d[4] - d[2], 2 * (d[3] - d[1])
    return [4 * d[0] - 5 * d[2] + d[4], a + b, a - b, c + e, c - e, 4 * d[1] - 5 * d[3] + d[5]]


def output_4(m: list[Any]) -> list[Any]:
    p, q, u, v = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    return [m[0] + p + u, q + 2 * v, p + 4 * u, q + 8 * v + m[5]]


LINES = {(2, "data"): data_2, (2, "output"): output_2, (4, "data"): data_4, (4, "output"): output_4}


def nested(f: Algorithm, rank: int, which: str) -> tuple[int, int]:
    """(additions, products by constants) of a transform of one tile, counted while it runs along each axis."""
    tally = [0, 0]
    line, by = LINES[f.outputs, which], matrix((BT if which == "data" else AT)[f.outputs])
    values = np.random.default_rng(0).integers(-9, 10, (f.tile,) * rank).astype(object)
    cells = np.vectorize(lambda v: Counted(Fraction(v), tally), otypes=[object])(values)
    if rank == 1:
        made = np.array(line(list(cells)), dtype=object)
        wanted = by @ values
    else:
        columns = np.array([line(list(column)) for column in cells.T], dtype=object).T
        made = np.array([line(list(row)) for row in columns], dtype=object)
        wanted = by @ values @ by.T
    assert (np.vectorize(lambda c: c.value, otypes=[object])(made) == wanted).all()
    return tally[0], tally[1]


def test_transforms_as_published() -> None:
    """Section 4.1 has 32 and 24 additions for F(2x2, 3x3), section 4.3 144 and 100 operations for F(4x4, 3x3)."""
    assert [nested(f, 2, which)[0] for f in (F2, F4) for which in ("data", "output")] == [32, 24, 144, 100]


@pytest.mark.parametrize(
    ("rank", "size", "f2", "f4"), [(2, 8, Fraction(9, 4), Fraction(4)), (1, 8, Fraction(3, 2), Fraction(2))]
)
def test_reductions(rank: int, size: int, f2: Fraction, f4: Fraction, tmp_path: Path) -> None:
    """2.25 and 4 in two dimensions, 1.5 and 2 in one, where tiles fit (s4-007)."""
    x = np.zeros((4, *[size] * rank))
    (row,) = found(convolution(x, 4, 1, (1,) * 2 * rank), tmp_path).rows
    assert (row.f2.reduction, row.f4.reduction) == (float(f2), float(f4))


def test_a_tile_takes_16_products_per_channel(tmp_path: Path) -> None:
    """s4-006: 16 x C for the four outputs of one tile, where the direct way takes 36 x C."""
    (row,) = found(convolution(np.zeros((7, 2, 2)), 1, 1, (1, 1, 1, 1)), tmp_path).rows
    assert (row.macs, row.f2.tiles, row.f2.multiplications) == (36 * 7, 1, 16 * 7)


@pytest.mark.parametrize(
    ("attrs", "kernel", "why"),
    [
        ({"strides": [2, 2]}, (3, 3), "a stride other than 1"),
        ({"dilations": [1, 2]}, (3, 3), "a dilation other than 1"),
        ({}, (1, 1), "a kernel of 1 x 1"),
        ({}, (3, 5), "a kernel of 3 x 5"),
        ({}, (3, 3, 3), "3 spatial axes"),
    ],
)
def test_what_is_not_eligible(attrs: Any, kernel: tuple[int, ...], why: str, tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 2, *[9] * len(kernel))
    out = net.node("Conv", [x, net.weight(4, 2, *kernel)], (), **attrs)
    result = found(net.model(out), tmp_path)
    assert [s.why for s in result.skipped] == [why] and not result.rows
    assert result.f2.multiplications == result.f4.multiplications == result.macs == result.skipped[0].macs
    assert result.eligible_macs == 0 and result.share == 0


def test_notes(tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 8, 8, 8)
    out = net.conv(net.conv(net.conv(x, 8, 3, g=8), 8, 3, g=2), 8, 3)
    notes = [row.note for row in found(net.model(out), tmp_path).rows]
    assert notes[0].startswith("one channel per group") and notes[1].startswith("grouped") and notes[2] == ""
    net = Net(INT8)
    x = net.input(1, 8, 8, 8)
    out = net.node("ConvInteger", [x, net.weight(4, 8, 3, 3)], (1, 4, 6, 6))
    (row,) = found(net.model(out), tmp_path).rows
    assert row.note == INTEGER and row.f2.multiplications == 9 * 4 * 8 * 16


def test_channels_last(tmp_path: Path) -> None:
    """The same convolution, its data with the channels last, counts the same."""
    first = convolution(np.zeros((4, 9, 7)), 6, 1, (1, 1, 1, 1))
    net = Net()
    x = net.input(1, 9, 7, 4)
    out = net.node("NhwcFusedConv", [x, net.weight(6, 4, 3, 3)], (), domain="com.microsoft", pads=[1] * 4)
    model = net.model(out)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    (a,), (b,) = found(first, tmp_path).rows, found(model, tmp_path).rows
    assert (a.macs, a.f2, a.f4) == (b.macs, b.f2, b.f4)


def test_totals_add_up() -> None:
    """Products of eligible convolutions, MACs of everything else."""
    model = examine("sample:resnet50")
    result = winograd(model)
    assert result.macs == model.table.total("macs").value
    rest = result.macs - sum(row.macs or 0 for row in result.rows)
    for which in ("f2", "f4"):
        whole: Count = getattr(result, which)
        assert whole.multiplications == rest + sum(getattr(row, which).multiplications for row in result.rows)
    # the 3 x 3 convolutions of stride 1: 3 + 3 + 5 + 2, each of 56^2 x 64^2 x 9 MACs
    assert [row.macs for row in result.rows] == [56 * 56 * 64 * 64 * 9] * 13
    convs = sum(row.node.op == "Conv" for row in model.table.rows)
    assert len(result.rows) + len(result.skipped) == convs


def test_an_unknown_size_is_a_range(tmp_path: Path) -> None:
    """A map whose height the values fed decide: nothing exact, nothing 0."""
    net = Net()
    x = net.input(1, 2, 8, 8)
    places = net.slice(net.node("NonZero", [x], (4, 128)), 0, 2, 3)
    fed = net.node("Gather", [x, net.reshape(places, -1)], (), axis=2)
    out = net.node("Conv", [fed, net.weight(4, 2, 3, 3)], (), pads=[1] * 4)
    result = found(net.model(out), tmp_path)
    assert result.macs is None and result.share is None
    assert result.f2.multiplications is None and result.f2.why


def test_bodies_count_as_direct(tmp_path: Path) -> None:
    """A convolution in both branches of an If."""

    def branch(name: str) -> Any:
        node = helper.make_node("Conv", ["x", "w"], [name], pads=[1] * 4)
        return helper.make_graph([node], name, [], [helper.make_empty_tensor_value_info(name)])

    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch("a"), else_branch=branch("b"))],
        "g",
        [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 8, 8]),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 2, 3, 3]),
        ],
        [helper.make_empty_tensor_value_info("y")],
    )
    result = found(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path)
    assert [s.why for s in result.skipped] == [INSIDE]
    assert result.f2.multiplications == result.macs == 64 * 2 * 2 * 9
