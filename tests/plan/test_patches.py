"""Patch-based execution: against a machine that really runs tile by tile, ONNX Runtime, and published figures."""

from __future__ import annotations

from itertools import product

import msgspec
import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from effaudit.audited import Audited, examine
from effaudit.dataflow import flow
from effaudit.errors import UsageError
from effaudit.graph import INT8, Graph, Node, Value
from effaudit.ops._registry import Rules
from effaudit.plan.patches import best_patches, patched
from effaudit.plan.patches.memory import rest
from effaudit.plan.patches.patched import needs
from effaudit.plan.patches.search import cuts
from effaudit.plan.patches.spans import Blocked, Edged, Enlarged, Spread, Window, split
from effaudit.plan.patches.stage import compiled, prefix
from effaudit.plan.storage import APART, SHARED, Sharing

from ..laws.models import parse, written
from .patch_nets import KINDS, Machine, net

KIB = 1024


def audited(model) -> Audited:  # type: ignore[no-untyped-def]
    with written(model) as path:
        return examine(path)


def text(body: str, head: str = "net (float[1,4,12,12] x) => (float[] y)", **weights: tuple[int, ...]) -> Audited:
    return audited(parse(head + body, **weights))


# ---- intervals, position by position
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.integers(-2, 8)),
    st.integers(1, 30),
    st.integers(0, 12),
    st.integers(1, 12),
)
def test_a_window_reads_from_its_first_real_tap_to_its_last(
    window: tuple[int, int, int, int], size: int, low: int, count: int
) -> None:
    kernel, stride, dilation, pad = window
    taps = [o * stride - pad + j * dilation for o in range(low, low + count) for j in range(kernel)]
    real = [t for t in taps if 0 <= t < size]
    one = Window(*window)
    assert one.span(low, low + count, None) == (min(taps), max(taps) + 1)
    if real:
        assert one.span(low, low + count, size) == (min(real), max(real) + 1)
    else:
        with pytest.raises(Blocked, match="wholly in the padding"):
            one.span(low, low + count, size)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 4), st.integers(1, 12), st.data())
def test_a_transposed_window_is_reached_from_these_inputs(
    kernel: int, stride: int, pad: int, size: int, data: st.DataObject
) -> None:
    count = stride * (size - 1) + kernel - 2 * pad
    assume(count >= 1)
    low = data.draw(st.integers(0, count - 1))
    high = data.draw(st.integers(low + 1, count))
    real = [i for i in range(size) if any(low <= i * stride - pad + j < high for j in range(kernel))]
    one = Spread(kernel, stride, pad)
    if real:
        assert one.span(low, high, size) == (min(real), max(real) + 1)
    else:
        with pytest.raises(Blocked):
            one.span(low, high, size)


def test_enlarged_and_edged_positions() -> None:
    assert Enlarged(3).span(2, 4, 9) == (0, 2)
    assert Enlarged(3).span(3, 6, 9) == (1, 2)
    assert Edged(2).span(0, 2, 5) == (0, 1)  # both repeat the first
    assert Edged(2).span(1, 9, 5) == (0, 5)
    assert Edged(2).span(8, 9, 5) == (4, 5)


@given(st.integers(1, 200), st.integers(1, 200))
def test_an_even_split(size: int, parts: int) -> None:
    assume(parts <= size)
    spans = split(size, parts)
    assert [i for low, high in spans for i in range(low, high)] == list(range(size))
    assert len(spans) == parts and {high - low for low, high in spans} <= {size // parts, -(-size // parts)}


def test_a_dilation_too_large_to_follow_is_refused() -> None:
    with pytest.raises(Blocked, match="too large to follow"):
        Window(2, 3, 2**40, 2**40 - 1).span(0, 2**30, 2**50)


# ---- random networks
layers = st.lists(st.sampled_from(KINDS), min_size=1, max_size=7).filter(
    lambda kinds: 1 <= sum(kind in ("conv", "transposed") for kind in kinds) <= 3
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers, st.integers(0, 2**30), st.integers(1, 4), st.integers(1, 4))
def test_tile_by_tile_is_the_whole(kinds: list[str], seed: int, rows: int, columns: int) -> None:
    """What tiles need is what they read, no less (the machine would fail) and no more (positions one by one); put
    together they are ONNX Runtime's output; MACs and bytes are those the machine counted."""
    made = net(tuple(kinds), seed)
    assume(made.nodes)
    _, h, w = made.shapes[made.last]
    grid = min(rows, h), min(columns, w)
    data = np.random.default_rng(seed).integers(-1, 2, made.shapes["x"]).astype(np.float32)
    boxes = [Machine(made, data).needed(tile) for tile in product(split(h, grid[0]), split(w, grid[1]))]
    model = made.model()
    found = audited(model)
    if None in boxes:
        with pytest.raises(UsageError, match=r"padding|no input reaches"):
            patched(found.graph, found.flow, made.last, grid)
        return
    one = compiled(
        found.graph, found.flow, reversed(prefix(found.graph, found.flow, made.last)), made.last, found.table
    )
    parts = [needs(one, axis, count) for axis, count in enumerate(grid)]
    for (top, left), box in zip(product(*parts), boxes, strict=True):
        assert {name: (top[name], left[name]) for name in top} == box
    for feed in ("resident", "streamed"):
        machine, out = Machine(made, data), np.zeros(made.shapes[made.last], np.float32)
        for box in boxes:
            machine.run(box, resident=feed == "resident", out=out)  # type: ignore[arg-type]
        result = patched(found.graph, found.flow, made.last, grid, feed=feed, table=found.table)  # type: ignore[arg-type]
        assert (result.patched_macs, result.stage_bytes) == (machine.macs, machine.peak)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # it folds pads into pools they break
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert np.array_equal(out, session.run(None, {"x": data[None]})[0][0])


@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers, st.integers(0, 2**30))
def test_one_tile_is_the_network(kinds: list[str], seed: int) -> None:
    """Over a 1x1 grid of all of it, where nothing is cropped away, nothing is computed twice or left out; and memory
    is plain liveness with the output there from the start and the input to the end."""
    made = net(tuple(kinds), seed)
    assume(made.nodes and Machine(made, np.zeros(made.shapes["x"], np.float32)).needed(whole(made)) is not None)
    found = audited(made.model())
    result = patched(found.graph, found.flow, made.last, (1, 1))
    data = np.zeros(made.shapes["x"], np.float32)
    boxes = Machine(made, data).needed(whole(made))
    assert boxes is not None
    skipped = any(boxes[name] != tuple((0, n) for n in made.shapes[name][1:]) for name in boxes)
    assert (result.patched_macs < result.stage_macs) <= skipped
    assert result.patched_macs <= result.stage_macs
    live = found.memory.live_bytes.value
    assert live is not None and result.rest_bytes == 4 * np.prod(made.shapes[made.last])
    if not skipped:
        assert result.extra_macs == 0 and live <= result.stage_bytes
        assert result.stage_bytes <= live + data.nbytes + result.rest_bytes


def whole(made) -> tuple[tuple[int, int], ...]:  # type: ignore[no-untyped-def]
    return tuple((0, n) for n in made.shapes[made.last][1:])


# ---- the worked examples of a 3x3 convolution 32 -> 64 at 56x56, split 4x4
def test_an_inner_tile_of_one_convolution() -> None:
    found = text(
        "{ y = Conv <pads = [1, 1, 1, 1]> (x, w) }",
        "net (float[1,32,56,56] x) => (float[1,64,56,56] y)",
        w=(64, 32, 3, 3),
    )
    result = patched(found.graph, found.flow, "y", (4, 4), feed="streamed")
    (parts,) = result.inputs
    assert result.tile == (14, 14) == (56 // 4, 56 // 4)
    assert (parts.size, parts.first, parts.largest, parts.halo) == ((56, 56), (15, 15), (16, 16), (2, 2))
    assert parts.largest[0] * parts.largest[1] > 14 * 14
    tile, full = 32 * 16 * 16 + 64 * 14 * 14, 32 * 56 * 56 + 64 * 56 * 56
    assert full / (32 * 14 * 14 + 64 * 14 * 14) == 4 * 4  # of a tile alone, without its halo
    assert full / tile == pytest.approx(14.518518518518519)  # and with it
    whole_output = 4 * 64 * 56 * 56
    assert result.stage_bytes == 4 * 32 * 16 * 16 + whole_output  # patches write into the whole output
    assert result.ratio == 1.0  # one layer: halos are read twice, nothing is computed twice


def test_a_net_too_large_for_256_kb_runs_in_80_kb() -> None:
    """16 KiB of input, 256 KiB of map and a 64 KiB result: 8x8 tiles of a map that never exists as a whole."""
    found = text(
        "{ a = Conv (x, w) b = MaxPool <kernel_shape = [4, 4], strides = [4, 4]> (a) y = Relu(b) }",
        "net (float[1,1,64,64] x) => (float[1,16,16,16] y)",
        w=(16, 1, 1, 1),
    )
    live = found.memory.live_bytes.value
    search = best_patches(found.graph, found.flow, budget=80 * KIB)
    assert live is not None and search.best is not None
    assert search.best.patched_bytes <= 80 * KIB < 256 * KIB < live
    assert search.best.extra_macs == 0  # pooling windows that do not overlap have no halo


# ---- MobileNetV2 1.0 at 224 in int8 (MCUNetV2, https://arxiv.org/abs/2110.15352, section 3 and figure 1)
def fused(graph: Graph) -> Graph:
    """One byte per element; norms and activations are part of the convolution before them."""
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op in ("BatchNormalization", "Clip") and nodes and nodes[-1].outputs[0] == node.inputs[0]:
            nodes[-1] = msgspec.structs.replace(nodes[-1], outputs=node.outputs[:1])
        else:
            nodes.append(node)

    def bytes_(value: Value) -> Value:
        return msgspec.structs.replace(value, encoding=INT8) if value.encoding.dtype == "float32" else value

    values = {name: bytes_(value) for name, value in graph.values.items()}
    return msgspec.structs.replace(graph, nodes=tuple(nodes), values=values)


def depthwise(node: Node, rules: Rules) -> tuple[int, ...]:
    return (0,) if node.attrs.get("group", 1) > 1 else ()


DEPTHWISE_IN_PLACE = Sharing(views=False, in_place=depthwise)


@pytest.fixture(scope="module")
def mobilenet() -> Graph:
    return fused(examine("sample:mobilenetv2").graph)


@pytest.fixture(scope="module")
def fourth_block(mobilenet: Graph) -> str:
    return [node for node in mobilenet.nodes if node.name.startswith("features/4/")][-1].outputs[0]


def test_mobilenetv2_stem_and_four_blocks(mobilenet: Graph, fourth_block: str) -> None:
    known = flow(mobilenet)
    streamed = patched(mobilenet, known, fourth_block, (4, 4), feed="streamed", sharing=DEPTHWISE_IN_PLACE)
    assert streamed.stage_bytes == 96 * 35 * 35 + 96 * 17 * 17 + 32 * 28 * 28 == 170_432  # 166.4 KiB
    assert streamed.rest_bytes == streamed.patched_bytes == 196 * KIB
    resident = patched(mobilenet, known, fourth_block, (4, 4), sharing=DEPTHWISE_IN_PLACE)
    assert resident.stage_bytes == resident.patched_bytes == 170_432 + 3 * 224 * 224  # 313.4 KiB
    assert streamed.ratio == pytest.approx(1.306, abs=5e-4)
    assert streamed.unclipped_macs is not None
    assert streamed.unclipped_macs / streamed.stage_macs == pytest.approx(1.42, abs=5e-3)
    assert streamed.total_macs == 300_774_272 and streamed.extra_share == pytest.approx(0.0928, abs=5e-5)
    (parts,) = streamed.inputs
    assert (parts.first, parts.largest, parts.halo) == ((62, 62), (75, 75), (19, 19))
    apart = patched(mobilenet, known, fourth_block, (4, 4), feed="streamed")
    assert (apart.stage_bytes, apart.rest_bytes) == (170_432, 2 * 192 * 784 + 32 * 784)


def test_mobilenetv2_the_best_of_all(mobilenet: Graph, fourth_block: str) -> None:
    known = flow(mobilenet)
    search = best_patches(mobilenet, known, feed="streamed", sharing=DEPTHWISE_IN_PLACE)
    assert search.complete and search.best is not None and "GlobalAveragePool" in search.blocked
    assert (search.best.stage, search.best.grid) == (fourth_block, (4, 4))
    assert search.best.patched_bytes == 196 * KIB


def test_a_search_that_is_cut_short_says_so(mobilenet: Graph) -> None:
    search = best_patches(mobilenet, flow(mobilenet), work=5_000)
    assert not search.complete
    none = best_patches(mobilenet, flow(mobilenet), work=0)
    assert none.best is None and "work allowed" in none.why


# ---- the search, against trying everything
@settings(max_examples=20, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers, st.integers(0, 2**30), st.sampled_from([APART, SHARED]), st.sampled_from(["resident", "streamed"]))
def test_no_stage_and_grid_is_better(kinds: list[str], seed: int, sharing: Sharing, feed: str) -> None:
    made = net((*kinds, "relu", "conv", "relu"), seed)
    found = audited(made.model())
    options = {"feed": feed, "sharing": sharing, "table": found.table}
    every = []
    for name, (_, h, w) in made.shapes.items():
        sides = product(range(1, min(h, 8) + 1), range(1, min(w, 8) + 1))
        for grid in [(a, b) for a, b in sides if max(a, b) > 1 and (h != w or a == b)]:
            try:
                every.append(patched(found.graph, found.flow, name, grid, **options))  # type: ignore[arg-type]
            except UsageError:
                continue
    search = best_patches(found.graph, found.flow, **options)  # type: ignore[arg-type]
    assert search.complete and (search.best is None) == (not every)
    if search.best is None:
        return
    key = min((p.patched_bytes, p.extra_macs) for p in every)
    assert (search.best.patched_bytes, search.best.extra_macs) == key
    sizes = sorted({p.patched_bytes for p in every})
    budget = sizes[len(sizes) // 2]
    cheap = best_patches(found.graph, found.flow, budget=budget, **options).best  # type: ignore[arg-type]
    assert cheap is not None
    within = min((p.extra_macs, p.patched_bytes) for p in every if p.patched_bytes <= budget)
    assert (cheap.extra_macs, cheap.patched_bytes) == within
    missed = best_patches(found.graph, found.flow, budget=sizes[0] - 1, **options)  # type: ignore[arg-type]
    assert missed.best is None and f"{sizes[0] - 1} bytes or less" in missed.why


@pytest.mark.parametrize("name", ["mobilenetv2", "ic", "vww", "resnet50", "unet"])
def test_after_a_cut_the_rest_is_the_rest_of_the_whole(name: str) -> None:
    """The quick figure of the search is that of the graph without the stage."""
    from effaudit.plan.patches.memory import after_each

    found = examine(f"sample:{name}")
    after = after_each(found.graph, found.flow)
    assert after is not None
    for cut in cuts(found.graph, found.flow):
        inside = prefix(found.graph, found.flow, cut.tensor)
        size = found.graph.values[cut.tensor].nbytes
        assert max(after[cut.last], size) == max(rest(found.graph, found.flow, inside, cut.tensor, APART), size)


# ---- what a stage can hold, and what it cannot
GATE = """{ a = Conv <pads = [1, 1, 1, 1]> (x, w) g = GlobalAveragePool(a) s = Sigmoid(g) m = Mul(a, s)
y = Conv <pads = [1, 1, 1, 1]> (m, w) }"""


def test_a_squeeze_and_excite_gate_blocks() -> None:
    """The stage may end before the gate, not at or behind it."""
    found = text(GATE, w=(4, 4, 3, 3))
    assert patched(found.graph, found.flow, "a", (2, 2)).ratio == 1.0
    for stage in ("m", "y"):
        with pytest.raises(UsageError, match=r"GlobalAveragePool .*mixes positions"):
            patched(found.graph, found.flow, stage, (2, 2))
    search = best_patches(found.graph, found.flow)
    assert search.best is not None and search.best.stage == "a" and "GlobalAveragePool" in search.blocked


BLOCKING = {
    "MatMul": "y = MatMul(a, a)",
    "ReduceMean": "y = ReduceMean <axes = [2, 3]> (a)",
    "InstanceNormalization": "y = InstanceNormalization(a, s, s)",
    "Softmax": "y = Softmax <axis = -1> (a)",
    "Flatten": "y = Flatten(a)",
    "Slice": "y = Slice(a, one, two, two)",
}


@pytest.mark.parametrize("op", sorted(BLOCKING))
def test_operators_that_mix_positions_block(op: str) -> None:
    body = "{ one = Constant <value = int64[1] {1}> () two = Constant <value = int64[1] {2}> () a = Relu(x) "
    found = text(body + BLOCKING[op] + " }", s=(4,))
    with pytest.raises(UsageError, match="no stage can end at y"):
        patched(found.graph, found.flow, "y", (2, 2))


def test_channel_shuffle_and_layout_changes_pass() -> None:
    """Positions stay together: a stage may regroup channels and move axes. 3x3 tiles of 6 rows: 2 + 2 of halo."""
    found = text(
        """{ shape = Constant <value = int64[5] {1, 2, 2, 12, 12}> ()
        back = Constant <value = int64[4] {1, 4, 12, 12}> ()
        t = Transpose <perm = [0, 3, 1, 2]> (x) r = Reshape(t, shape)
        s = Transpose <perm = [0, 2, 1, 3, 4]> (r) u = Reshape(s, back)
        p, q = Split <axis = 1> (u) c = Concat <axis = 1> (q, p)
        y = Conv <pads = [1, 1, 1, 1]> (c, w) }""",
        "net (float[1,12,12,4] x) => (float[] y)",
        w=(4, 4, 3, 3),
    )
    result = patched(found.graph, found.flow, "y", (3, 2))
    assert result.inputs[0].largest == (6, 7) and result.inputs[0].halo == (2, 2)


def test_shape_arithmetic_is_computed_ahead() -> None:
    """A Reshape whose target is made of Shape: the sizes decide it, so it neither blocks nor keeps tensors alive."""
    found = text(
        """{ zero = Constant <value = int64[1] {0}> () a = Relu(x) s = Shape(a) b = Reshape(a, s)
        y = Conv <pads = [1, 1, 1, 1]> (b, w) }""",
        w=(4, 4, 3, 3),
    )
    assert patched(found.graph, found.flow, "y", (2, 2)).inputs[0].largest == (7, 7)


def test_a_tensor_read_behind_the_stage_blocks() -> None:
    found = text("{ a = Relu(x) b = Relu(a) y = Add(a, b) }")
    with pytest.raises(UsageError, match="a is read outside the stage too"):
        patched(found.graph, found.flow, "b", (2, 2))


@pytest.mark.parametrize(
    ("stage", "grid", "message"),
    [
        ("nothing", (2, 2), "no tensor 'nothing'"),
        ("x", (2, 2), "not computed from"),
        ("a", (2,), "grid 2 does not fit"),
        ("a", (13, 1), "13x1 does not fit the map 12x12"),
        ("a", (0, 1), "does not fit"),
    ],
)
def test_what_makes_no_sense_is_refused(stage: str, grid: tuple[int, ...], message: str) -> None:
    found = text("{ a = Relu(x) y = Relu(a) }")
    with pytest.raises(UsageError, match=message):
        patched(found.graph, found.flow, stage, grid)


def test_a_second_input_waits_where_inputs_are_resident() -> None:
    found = text("{ a = Relu(x) y = Add(a, z) }", "net (float[1,4,12,12] x, float[1,4,12,12] z) => (float[] y)")
    size = 4 * 4 * 144
    resident = patched(found.graph, found.flow, "a", (2, 2))
    assert (resident.stage_bytes, resident.rest_bytes) == (3 * size, 3 * size)
    streamed = patched(found.graph, found.flow, "a", (2, 2), feed="streamed")
    assert (streamed.stage_bytes, streamed.rest_bytes) == (size + size // 4, 3 * size)


def test_a_search_over_stages_with_and_without_a_second_input() -> None:
    """The map a is the largest; the best stage ends behind it, before z is read."""
    found = text(
        "{ a = Conv (x, w) b = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a) c = Add(b, z) y = Relu(c) }",
        "net (float[1,4,12,12] x, float[1,8,6,6] z) => (float[] y)",
        w=(8, 4, 1, 1),
    )
    x, z, part = 4 * 4 * 144, 4 * 8 * 36, 4 * 8 * 4
    resident = best_patches(found.graph, found.flow).best
    assert resident is not None and resident.stage == "b"
    assert (resident.stage_bytes, resident.grid) == (x + z + 4 * 8 * 36 + part, (6, 6))
    streamed = best_patches(found.graph, found.flow, feed="streamed").best
    assert streamed is not None and [one.name for one in streamed.inputs] in (["x"], ["x", "z"])
    every = [patched(found.graph, found.flow, t, (n, n), feed="streamed") for t in "bcy" for n in range(2, 7)]
    assert streamed.patched_bytes == min(p.patched_bytes for p in every)


def test_one_axis() -> None:
    """A temporal convolution: 2 parts of 10, each with 2 more on its inner side."""
    found = text(
        "{ y = Conv <dilations = [2], pads = [2, 2]> (x, w) }", "net (float[1,3,20] x) => (float[] y)", w=(5, 3, 3)
    )
    result = patched(found.graph, found.flow, "y", (2,), feed="streamed")
    assert result.inputs[0].largest == (12,) and result.stage_bytes == 4 * (3 * 12 + 5 * 20)
    search = best_patches(found.graph, found.flow, feed="streamed")
    # 3 of the output and 4 around it is the least that up to 8 parts need; 7 parts are the first that do.
    assert search.best is not None and search.best.grid == (7,)
    assert search.best.stage_bytes == 4 * (3 * 7 + 5 * 20)


def test_nothing_to_patch() -> None:
    search = best_patches(*(lambda a: (a.graph, a.flow))(examine("sample:lstm")))
    assert search.best is None and "Gather" in search.why
