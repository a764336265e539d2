"""Score memory, and the graph whose scores are gone: figures by hand and against a second, plain reckoning."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, save_model

from effaudit import dims
from effaudit.audited import Audited, examine
from effaudit.dataflow import flow
from effaudit.graph import Graph
from effaudit.load import Given
from effaudit.lower.flash import DOMAIN, MAX_NODES, OPERATOR, Flashed, Products, flash
from effaudit.plan.liveness import analyse, live_formula
from effaudit.table import price
from effaudit.views.attentions import attentions, layers
from effaudit.views.score_memory import ScoreMemory, score_memory
from tests.corpus.score import folder
from tests.examples.blocks import attention, encoder, gpt2, products
from tests.examples.graphs import FLOAT16, Net

from . import caches
from .transformers import in_a_loop

CORPUS = folder()
needs_corpus = pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")


def opened(model: ModelProto, folder: Path, **sizes: int) -> Audited:
    path = folder / "model.onnx"
    save_model(model, path)
    return examine(path, Given(sizes))


def scores_of(audited: Audited) -> ScoreMemory:
    found = score_memory(audited)
    assert found is not None
    return found


def flashed(audited: Audited) -> Flashed:
    found = attentions(audited)
    assert found is not None
    cores = [core for scope, layer in layers(found) for core in layer.cores if core.fused is None and not scope.path]
    return flash(audited.graph, [Products(c.scores, c.values) for c in cores], audited.table)


def plain_live(graph: Graph) -> int:
    """The most bytes alive at one node: what it touches, and what was made before it and is needed after it."""
    varying = flow(graph).varying
    made: dict[str, int] = dict.fromkeys(graph.inputs, 0)
    for i, node in enumerate(graph.nodes):
        made.update(dict.fromkeys(filter(None, node.outputs), i))
    needed = {name: [i for i, node in enumerate(graph.nodes) if name in node.inputs] for name in made}
    needed |= {name: [*needed.get(name, []), len(graph.nodes) - 1] for name in graph.outputs}
    alive = []
    for i in range(len(graph.nodes)):
        here = [n for n in made if n in varying and (needed[n] or made[n] == i) and made[n] <= i]
        sizes = (graph.values[n].nbytes for n in here if max([*needed[n], made[n]]) >= i)
        alive.append(sum(size for size in sizes if isinstance(size, int)))
    return max(alive)


def check(audited: Audited) -> Flashed:
    """What must hold of every rewritten graph."""
    before, made = audited.graph, flashed(audited)
    after = made.graph
    known: set[str] = {*after.inputs, *after.constants}
    for node in after.nodes:  # whole, and in order
        read = {name for name in node.inputs if name} | {n for b in node.bodies.values() for n in b.captured}
        assert read <= known, node
        known.update(node.outputs)
    assert set(after.outputs) <= known and after.outputs == before.outputs and after.inputs == before.inputs
    gone = {name for names in made.gone.values() for name in names}
    assert known.isdisjoint(gone) and gone.isdisjoint(after.values)
    table = price(after)
    for figure in ("macs", "ops"):
        assert table.total(figure) == audited.table.total(figure)
    live = analyse(after).live_bytes.value
    assert live == plain_live(after)
    assert audited.memory.live_bytes.value == plain_live(before)
    found = scores_of(audited)
    assert found.flash_live_bytes.value == live and found.macs == found.flash_macs
    return made


# ---- the rewrite
@given(st.integers(1, 2), st.integers(1, 4), st.integers(2, 24), st.integers(1, 6))
@settings(max_examples=12)
def test_costs_stay_and_scores_go(
    tmp_path_factory: pytest.TempPathFactory, layers: int, heads: int, n: int, size: int
) -> None:
    audited = opened(encoder(layers, heads * size, heads, n), tmp_path_factory.mktemp("m"))
    made = check(audited)
    assert len(made.gone) == layers and not made.left
    fused = [node for node in made.graph.nodes if node.op == OPERATOR]
    assert [node.domain for node in fused] == [DOMAIN] * layers
    assert all(len(node.inputs) == 3 for node in fused)  # queries, keys, values


@pytest.mark.parametrize("name", ["decoder-gqa", "bert-base"])
def test_samples(name: str) -> None:
    made = check(examine(f"sample:{name}"))
    assert made.gone and not made.left


@needs_corpus
@pytest.mark.parametrize(
    ("name", "attentions"),
    [
        ("gpt2_mini_past31.dynamo.op18", 4),
        ("gpt2_mini_past31.ts.op17", 4),
        ("gpt2_mini_64.dynamo.op18.dynseq", 4),
        ("whisper_tiny_encoder.dynamo.op18", 4),
        ("whisper_tiny_encoder.ts.op17", 4),
        ("bert_mini_128.dynamo.op18", 4),
        ("bert_mini_128.dynamo.op18.q_qdq_int8", 4),
        ("bert_mini_128.ts.op17", 4),
        ("bert_mini_128_sdpa.dynamo.op18", 4),
        ("einsum_attn.ts.op17", 1),
        ("levit_128s.ts.op17", 11),
    ],
)
def test_real_exports(name: str, attentions: int) -> None:
    assert CORPUS is not None
    made = check(examine(CORPUS / "models" / f"{name}.onnx"))
    assert len(made.gone) == attentions and not made.left


def test_the_same_graph_where_nothing_is_spelled_out(tmp_path: Path) -> None:
    audited = opened(caches.fused("MultiHeadAttention"), tmp_path, batch=1, new=4, past=4)
    assert flashed(audited).graph is audited.graph


def test_the_peak_grows_no_more_with_the_square(tmp_path: Path) -> None:
    """With scores the peak is of second degree in the length, without them of the first."""
    audited = opened(caches.decoder(1, layout="none"), tmp_path)
    assert audited.formulas is not None
    found = attentions(audited)
    assert found is not None
    ((_, layer),) = layers(found)
    (core,) = layer.cores
    made = flash(audited.symbolic, [Products(core.scores, core.values)], audited.formulas)
    degrees = []
    for graph in (audited.symbolic, made.graph):
        formula = live_formula(graph)
        assert formula is not None
        a, b = (dims.evaluate(formula, {"batch": 1, "new": n}) for n in (10**6, 2 * 10**6))
        assert a and b
        degrees.append(round(b / a))
    assert degrees == [4, 2]
    table = price(made.graph)
    assert table.total("macs") == audited.formulas.total("macs")


# ---- what is left as it is
def test_scores_that_are_an_output(tmp_path: Path) -> None:
    model = products(64, 4, 10)
    softmax = next(node.output[0] for node in model.graph.node if node.op_type == "Softmax")
    model.graph.output.append(type(model.graph.output[0])(name=softmax))
    audited = opened(model, tmp_path)
    made = check(audited)
    assert made.left == {0: f"{softmax} must exist: it is an output of the graph"} and made.graph is audited.graph
    (row,) = scores_of(audited).layers
    assert not row.flash and row.why == made.left[0]
    assert row.tensors_bytes.value == 2 * 4 * 10 * 10 * 4  # they are there all the same


def test_scores_that_another_node_reads(tmp_path: Path) -> None:
    net = Net()
    q, k, v = (net.input(1, 4, 10, 16) for _ in "qkv")
    raw = net.matmul(q, net.transpose(k, 0, 1, 3, 2), "scores")
    entropy = net.node("ReduceSum", [raw], (1, 1, 1, 1), "watcher")  # leads to no value
    y = net.matmul(net.unary("Softmax", raw, axis=-1), v, "values")
    audited = opened(net.model(y, entropy), tmp_path)
    assert check(audited).left == {0: f"{raw} must exist: watcher reads it"}


def test_what_lies_between_may_branch(tmp_path: Path) -> None:
    """A softmax spelled as exp / sum, and one with its NaNs replaced: all of it goes."""
    net = Net()
    q, k, v = (net.input(1, 2, 6, 4) for _ in "qkv")
    raw = net.matmul(q, net.transpose(k, 0, 1, 3, 2), "scores")
    top = net.unary("Exp", raw)
    low = net.node("ReduceSum", [top, net.constant([-1])], (1, 2, 6, 1), keepdims=1)
    probabilities = net.node("Div", [top, low], net.shape[top])
    nan = net.unary("IsNaN", probabilities)
    clean = net.node("Where", [nan, net.scalar(0.0), probabilities], net.shape[top])
    audited = opened(net.model(net.matmul(clean, v, "values")), tmp_path)
    made = check(audited)
    assert set(made.gone[0]) == {raw, top, low, probabilities, nan, clean}


def test_too_many_nodes_between(tmp_path: Path) -> None:
    """A bound on what is followed: quadratic time otherwise."""
    net = Net()
    q, k, v = (net.input(1, 2, 6, 4) for _ in "qkv")
    raw = net.matmul(q, net.transpose(k, 0, 1, 3, 2), "scores")
    x = raw
    for _ in range(MAX_NODES + 1):
        x = net.unary("Identity", x)
    y = net.matmul(x, v, "values")
    audited = opened(net.model(y), tmp_path)
    ends = [i for i, node in enumerate(audited.graph.nodes) if node.op == "MatMul"]
    made = flash(audited.graph, [Products((ends[0],), (ends[1],))], audited.table)
    assert made.left == {0: f"more than {MAX_NODES} nodes lie between its products"}


def test_a_reader_before_the_attention_is_done(tmp_path: Path) -> None:
    """Two products with the same probabilities: one node would make both later than the first is read."""
    net = Net()
    q, k, v, w = (net.input(1, 2, 6, 4) for _ in "qkvw")
    raw = net.matmul(q, net.transpose(k, 0, 1, 3, 2), "scores")
    probabilities = net.unary("Softmax", raw, axis=-1)
    first = net.matmul(probabilities, v, "first")
    early = net.node("Relu", [first], net.shape[first], "early")
    second = net.matmul(probabilities, w, "second")
    audited = opened(net.model(early, second), tmp_path)
    at = {node.name: i for i, node in enumerate(audited.graph.nodes)}
    both = Products((at["scores"],), (at["first"], at["second"]))
    made = flash(audited.graph, [both], audited.table)
    assert made.left == {0: f"early reads {first} before the attention is done"}
    alone = flash(audited.graph, [Products((at["scores"],), (at["first"],))], audited.table)
    assert alone.left == {0: f"{probabilities} must exist: second reads it"}


def test_two_products_of_one_attention(tmp_path: Path) -> None:
    """Where nothing reads the first before the second, one node makes both."""
    net = Net()
    q, k, v, w = (net.input(1, 2, 6, 4) for _ in "qkvw")
    probabilities = net.unary("Softmax", net.matmul(q, net.transpose(k, 0, 1, 3, 2)), axis=-1)
    made = check(opened(net.model(net.matmul(probabilities, v), net.matmul(probabilities, w)), tmp_path))
    (fused,) = (node for node in made.graph.nodes if node.op == OPERATOR)
    assert len(fused.outputs) == 2 and len(fused.inputs) == 4


def test_an_attention_in_another(tmp_path: Path) -> None:
    audited = opened(products(64, 4, 10), tmp_path)
    a, b = (i for i, node in enumerate(audited.graph.nodes) if node.op == "MatMul")
    made = flash(audited.graph, [Products((a,), (b,))] * 2, audited.table)
    assert made.left == {1: "it shares nodes with another attention"} and len(made.gone) == 1


# ---- figures
def test_rows_by_hand(tmp_path: Path) -> None:
    audited = opened(caches.decoder(2, 4, 2, 8, dtype=caches.FLOAT16), tmp_path, batch=2, new=3, past=5)
    found = scores_of(audited)
    one = 2 * 4 * 3 * 8 * 2  # batch x heads x queries x keys x bytes
    for row in found.layers:
        assert (row.heads, row.queries, row.keys, row.dtype, row.operator) == (4, 3, 8, "float16", "")
        assert row.scores_bytes.value == one and row.workspace_bytes.value == 0 and row.flash
        assert [size for _, size in row.tensors] == [one, one]
    assert found.scores_bytes.value == 2 * one and found.tensors_bytes.value == 4 * one


def test_formulas(tmp_path: Path) -> None:
    (row,) = scores_of(opened(caches.decoder(1), tmp_path)).layers
    assert row.formula is not None
    assert dims.evaluate(row.formula, {"batch": 3, "new": 7, "past": 11}) == 3 * 4 * 7 * 18 * 4


@pytest.mark.parametrize("operator", ["Attention", "MultiHeadAttention", "PackedAttention"])
def test_a_fused_operator_has_a_workspace(operator: str, tmp_path: Path) -> None:
    """Between nothing and scores and probabilities; at the step where it runs."""
    audited = opened(caches.fused(operator), tmp_path, batch=2, new=50, past=70)
    found = scores_of(audited)
    (row,) = found.layers
    one = 2 * 4 * 50 * 120 * 4
    assert row.operator == operator.removeprefix("Packed") and row.tensors == ()
    assert row.scores_bytes.value == one and row.workspace_bytes.bounds == [0, 2 * one]
    live = audited.memory.live_bytes.value
    assert live is not None and found.flash_live_bytes.value == live
    assert found.workspace_live_bytes.bounds == [live, live + 2 * one]  # attention is the peak of this graph


def test_a_workspace_beside_a_larger_peak(tmp_path: Path) -> None:
    """Attention over 2 tokens beside a wide layer: no workspace of it reaches the peak."""
    g = caches.Graph()
    x = g.input("x", [1, 2, 32])
    parts = [g.linear(x, 32, 32) for _ in "qkv"]
    y = g.node("MultiHeadAttention", parts, "", domain=caches.MICROSOFT, num_heads=4)
    g.node("MatMul", [g.linear(y, 32, 5000), g.weight(5000, 2)], g.output("y"))
    found = scores_of(opened(g.model(), tmp_path))
    assert found.workspace_live_bytes == found.live_bytes


def test_lengths_that_are_fed(tmp_path: Path) -> None:
    found = scores_of(opened(caches.grouped(), tmp_path, batch=1, past=8))
    (row,) = found.layers
    assert row.scores_bytes.value is None and "total_sequence_length" in row.scores_bytes.why
    assert found.workspace_live_bytes.high is None and found.workspace_live_bytes.why


def test_in_a_body(tmp_path: Path) -> None:
    """Its scores are none of the tensors that live_bytes counts: the peak stays."""
    audited = opened(in_a_loop(3), tmp_path)
    found = scores_of(audited)
    (row,) = found.layers
    assert row.scores_bytes.value == 4 * 20 * 20 * 4 and not row.flash and "body" in row.why
    assert found.saved_bytes == 0


def test_a_single_query_saves_nothing(tmp_path: Path) -> None:
    """Scores of one query are smaller than the queries and keys that a fused kernel holds until it is done."""
    audited = opened(caches.decoder(1, 4, 4, 64), tmp_path, batch=1, new=1, past=4)
    saved = scores_of(audited).saved_bytes
    assert saved is not None and saved <= 0


def test_bert_base_over_512_tokens() -> None:
    """Scores and scaled scores, the layer's input and the values: 7,077,888 elements, and the mask of 512.

    2 x 12 x 512 x 512 + 2 x 512 x 768; without scores the peak moves to the feed-forward part: three tensors of
    512 x 3072, one of 512 x 768, and the mask.
    """
    found = scores_of(examine("sample:bert-base", Given({"batch": 1, "sequence": 512})))
    assert found.live_bytes.value == 4 * (7_077_888 + 512)
    assert found.peak == "encoder/layer.0/attention/self/Div"
    assert found.flash_live_bytes.value == 4 * (3 * 512 * 3072 + 512 * 768 + 512)
    assert found.flash_peak == "encoder/layer.0/intermediate/Erf"
    assert found.saved_bytes == 7_864_320


def test_many_attentions_over_the_same_keys(tmp_path: Path) -> None:
    net = Net()
    q, k, v = (net.input(1, 2, 6, 4) for _ in "qkv")
    keys = net.transpose(k, 0, 1, 3, 2)
    for _ in range(800):
        q = net.matmul(net.unary("Softmax", net.matmul(q, keys), axis=-1), v)
    found = scores_of(opened(net.model(q), tmp_path))
    assert len(found.layers) == 800 and all(row.flash for row in found.layers)


def test_none_without_attention() -> None:
    assert score_memory(examine("sample:ic")) is None


def test_gpt2_and_half_precision(tmp_path: Path) -> None:
    check(opened(gpt2(64, 2, 4, 32, vocab=100, positions=64), tmp_path))
    check(opened(attention(64, 4, 32, FLOAT16), tmp_path))
