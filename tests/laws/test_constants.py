"""Constants: each once, at its reader, also through function calls, unrolled loops and nodes that never run."""

from __future__ import annotations

from .models import audit, parse

LINEAR = '<domain: "local", opset_import: ["" : 17]> Lin (x, w) => (y) { y = MatMul(x, w) }'


def test_every_call_of_a_function_brings_its_own_weight() -> None:
    calls = "{ a = local.Lin(x, w0) b = local.Lin(a, w1) y = local.Lin(b, w2) }"
    model = parse(f"m (float[1,64] x) => (float[1,64] y) {calls}", LINEAR, w0=(64, 64), w1=(64, 64), w2=(64, 64))
    found = audit(model)
    assert found.totals.params == 3 * 64 * 64
    assert sum(node.params for node in found.nodes) == found.totals.params
    assert not [f for f in found.findings if f.rule == "unused-constants"]


def test_a_call_that_never_runs_has_no_parameters() -> None:
    model = parse("m (float[1,8] x) => (float[1,8] y) { y = Relu(x) z = local.Lin(x, w) }", LINEAR, w=(8, 8))
    found = audit(model)
    assert (found.totals.params, found.totals.constant_elements) == (0, 64)


def test_strings_have_no_bytes_that_could_be_counted() -> None:
    found = audit(parse("m (string[4] x, string[4] z) => (bool[4] y) { y = Equal(x, z) }"))
    assert (found.totals.ops, found.totals.read_bytes, found.totals.read_bounds) == (4, None, [0, None])
    assert "no fixed size" in (found.totals.why or "")
    assert "no fixed size" in (found.nodes[0].why or "")
