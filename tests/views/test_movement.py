"""Nodes that compute nothing and move bytes: 0 MACs are not 0 cost."""

from __future__ import annotations

from math import prod
from pathlib import Path

import msgspec
import pytest
from onnx import ModelProto

from effaudit.audited import Audited, examine
from effaudit.views.movement import Movement, movement

from ..examples.graphs import Net

FLOAT = 4


def audited(model: ModelProto, folder: Path) -> Audited:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return examine(path)


def found(net: Net, folder: Path, *outputs: str) -> Movement:
    return movement(audited(net.model(*outputs), folder))


def test_temporal_shift(tmp_path: Path) -> None:
    """TSM (s4-041): an eighth of the channels a frame back, an eighth a frame on; no MACs, no parameters."""
    net = Net()
    frames, c, h, w = 8, 64, 7, 7
    x = net.input(frames, c, h, w)
    fold = c // 8
    back = net.pad(net.slice(net.slice(x, 1, 0, fold), 0, 1, frames), (0, 0, 0, 0), (1, 0, 0, 0))
    on = net.pad(net.slice(net.slice(x, 1, fold, 2 * fold), 0, 0, frames - 1), (1, 0, 0, 0), (0, 0, 0, 0))
    rest = net.slice(x, 1, 2 * fold, c)
    out = net.concat([back, on, rest], 1)
    model = audited(net.model(out), tmp_path)
    result = movement(model)
    assert model.table.total("macs").value == model.table.total("ops").value == 0
    assert model.weights.params == 0
    assert {(by.op, by.nodes) for by in result.by_op} == {("Slice", 5), ("Pad", 2), ("Concat", 1)}
    first = result.rows[0]
    assert (first.op, first.write_bytes) == ("Concat", frames * c * h * w * FLOAT)
    assert first.read_bytes == frames * c * h * w * FLOAT
    assert (result.share, result.views, result.unknown) == (1.0, 0, ())
    assert result.bytes == sum(row.bytes or 0 for row in result.rows) > 4 * frames * c * h * w * FLOAT


def test_channel_shuffle(tmp_path: Path) -> None:
    """ShuffleNet: two views and a transpose that reads and writes every element."""
    net = Net()
    x = net.input(1, 24, 10, 10)
    y = net.transpose(net.reshape(x, 1, 3, 8, 10, 10), 0, 2, 1, 3, 4)
    out = net.reshape(y, 1, 24, 10, 10)
    result = found(net, tmp_path, net.conv(out, 24, 1))
    assert [(r.op, r.bytes) for r in result.rows] == [("Transpose", 2 * 2400 * FLOAT)]
    assert result.views == 2
    conv = 2 * 2400 * FLOAT + 24 * 24 * FLOAT
    assert result.share == 2 * 2400 * FLOAT / (2 * 2400 * FLOAT + conv)


def test_sorted_and_complete(tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 4, 8, 8)
    small = net.slice(x, 1, 0, 1)
    big = net.concat([x, x, x], 1)
    out = net.relu(net.concat([small, big], 1))
    result = found(net, tmp_path, out)
    totals = [row.bytes or 0 for row in result.rows]
    assert totals == sorted(totals, reverse=True) and len(totals) == 3
    assert [(by.op, by.nodes, by.bytes) for by in result.by_op] == [
        ("Concat", 2, totals[0] + totals[1]),
        ("Slice", 1, totals[2]),
    ]


def test_what_never_runs_moves_nothing(tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 4, 8, 8)
    net.transpose(x, 0, 2, 3, 1)
    result = found(net, tmp_path, net.relu(x))
    assert (result.rows, result.bytes, result.share) == ((), 0, 0.0)


def test_moved_ahead(tmp_path: Path) -> None:
    """A transposed weight depends on no input."""
    net = Net()
    x = net.input(1, 16)
    weight = net.node("Transpose", [net.weight(32, 16)], (16, 32), perm=[1, 0])
    turned = net.transpose(net.node("MatMul", [x, weight], (1, 32)), 1, 0)
    result = found(net, tmp_path, turned)
    assert [(r.op, r.ahead) for r in result.rows] == [("Transpose", True), ("Transpose", False)]


def test_an_unknown_size_is_a_range(tmp_path: Path) -> None:
    """The transpose of what the values fed decide: between nothing and all of it, never a silent 0."""
    net = Net()
    x = net.input(4, 6)
    places = net.node("NonZero", [x], ())
    result = found(net, tmp_path, net.node("Transpose", [places], (), perm=[1, 0]))
    (row,) = [r for r in result.rows if r.op == "Transpose"]
    assert row.bytes is None and row.why
    assert row.bytes_bounds == [0, 2 * 2 * prod((4, 6)) * 8]
    assert result.bytes is None and result.share is None and result.why
    low, high = result.share_bounds
    assert 0 <= low <= high <= 1


def test_an_unpriced_node_may_compute(tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 4)
    strange = net.node("Strange", [x], (), domain="example.org")
    result = found(net, tmp_path, net.node("Transpose", [net.relu(x)], (4, 1)), strange)
    (only,) = result.unknown
    assert only.op == "Strange" and only.why
    assert [r.op for r in result.rows] == ["Transpose"]
    assert result.bytes == 2 * 4 * FLOAT and result.share is None
    assert result.share_bounds[0] == 0.0 and result.share_bounds[1] <= 1


SAMPLES = sorted(p.stem for p in (Path(__file__).parents[2] / "sample_models").glob("*.onnx"))


@pytest.mark.parametrize("name", SAMPLES)
def test_every_node_is_counted_once(name: str) -> None:
    """Rows, views, unknown nodes and those that compute are all the nodes that run."""
    model = examine(f"sample:{name}")
    result = movement(model)
    computing = 0
    for row in model.table.rows:
        macs, ops = row.quantity("macs"), row.quantity("ops")
        computing += row.live and (macs.low > 0 or ops.low > 0)
    running = sum(row.live for row in model.table.rows)
    assert len(result.rows) + result.views + len(result.unknown) + computing == running
    assert sum(by.nodes for by in result.by_op) == len(result.rows)
    msgspec.json.encode(result)
