"""Matrix products by features and tokens, or by m, k and n."""

from __future__ import annotations

from effaudit.errors import UsageError
from effaudit.explain.call import Call
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short
from effaudit.graph import Shape


def _gemm(found: Operator, given: Given) -> Call:
    if given.has("m") or given.has("n"):
        return _product(found, given)
    cin, cout = given.size("cin"), given.size("cout")
    rows = given.size("batch") * given.size("tokens")
    inputs = {"a": given.data(rows, cin), "b": given.weight(cout, cin)}
    if given.flag("bias"):
        inputs["c"] = given.weight(cout)
    return Call(found.domain, found.op, inputs, {"transB": 1, **given.attrs})


def _matmul(found: Operator, given: Given) -> Call:
    if given.flag("bias"):
        raise UsageError(
            "MatMul has no bias; Gemm has one: effaudit explain Gemm cin=512 cout=2048 tokens=128 bias=yes"
        )
    if given.has("m") or given.has("n"):
        return _product(found, given)
    cin = given.size("cin")
    lead: Shape = (given.size("batch"),) if given.has("batch") or not given.has("tokens") else ()
    rows: Shape = (given.size("tokens"),) if given.has("tokens") else ()
    inputs = {"a": given.data(*lead, *rows, cin), "b": given.weight(cin, given.size("cout"))}
    return Call(found.domain, found.op, inputs, given.attrs)


def _product(found: Operator, given: Given) -> Call:
    """m x k times k x n, of two activations."""
    absent = [name for name in "mkn" if not given.has(name)]
    mixed = [name for name in ("cin", "cout", "tokens") if given.has(name)]
    if absent or mixed:
        wrong = f"{' and '.join(absent)} missing" if absent else f"{mixed[0]} does not go with m, k, n"
        raise UsageError(f"{found.op}: {wrong}; for example: effaudit explain {found.op} m=128 k=512 n=2048")
    m, k, n = (given.size(name) for name in "mkn")
    lead: Shape = (given.size("batch"),) if given.has("batch") else ()
    if lead and found.op == "Gemm":
        raise UsageError("Gemm multiplies two matrices; for a batch of them use MatMul m= k= n= batch=")
    notes = ("both operands count as activations; cin= and cout= make the second one a weight",)
    inputs = {"a": given.data(*lead, m, k), "b": given.data(*lead, k, n)}
    if given.flag("bias"):
        inputs["c"] = given.weight(n)
    return Call(found.domain, found.op, inputs, given.attrs, 1, notes)


_KEYS = {
    "cin": "input features",
    "cout": "output features",
    "batch": "rows (1)",
    "tokens": "tokens per row (1)",
    "m": "rows of the left matrix, with k and n instead of cin and cout",
    "k": "the contracted size",
    "n": "columns of the right matrix",
    "bias": "yes or no (no)",
    "dtype": "element type (float32)",
}
_NEEDS = (("cin", "m"), ("cout", "n"))
GEMM = Short(frozenset(("Gemm",)), _KEYS, _NEEDS, "cin=512 cout=2048 tokens=128 bias=yes", _gemm)
_MATMUL_KEYS = {**_KEYS, "bias": "no: a MatMul has none"}
MATMUL = Short(frozenset(("MatMul",)), _MATMUL_KEYS, _NEEDS, "cin=512 cout=2048 tokens=128", _matmul)
