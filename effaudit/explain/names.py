"""What the words of a cost formula stand for in one node: its shapes, attributes, and the sizes its family names.

Nothing here decides a count: `substitute` shows a formula with these numbers only where it gives the rule's count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any, Final

import msgspec

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.explain.substitute import Environment
from effaudit.explain.takes import names_of
from effaudit.graph import Node, Shape, Value
from effaudit.operators.rules import Definition
from effaudit.ops._call import INVALID, arguments
from effaudit.ops._inputs import scalar_dim
from effaudit.ops._registry import MICROSOFT, Rules, numel
from effaudit.ops.matmul import Equation, contracted


class View(msgspec.Struct, frozen=True):
    """A node as its cost rule sees it: inputs by the schema's lower-case names, attributes with their defaults."""

    node: Node
    inputs: Mapping[str, Value | None]
    every: tuple[Value | None, ...]
    attrs: Mapping[str, Any]
    outs: tuple[Value | None, ...]

    def shape(self, *names: str) -> Shape:
        """The shape of the first of these inputs that there is. Raises KeyError without one."""
        for name in names:
            value = self.inputs.get(name)
            if value is not None and value.shape is not None:
                return value.shape
        raise KeyError(names[0])

    def has(self, *names: str) -> int:
        """How many of these inputs there are."""
        return sum(self.inputs.get(name) is not None for name in names)

    @property
    def out(self) -> Shape:
        """The shape of the first output. Raises KeyError where it is not known."""
        first = next((value for value in self.outs if value is not None), None)
        if first is None or first.shape is None:
            raise KeyError("out")
        return first.shape


def view(node: Node, values: Mapping[str, Value], rules: Rules) -> View:
    """The node with names for its inputs and attributes. Raises ValueError where it breaks its operator's contract."""
    takes = rules.cost_takes or rules.shape_takes
    assert takes is not None
    outs = tuple(values[name] if name else None for name in node.outputs)
    if isinstance(rules, Definition) and rules.formulas:
        given = tuple(values[name] if name else None for name in node.inputs)
        return View(node, dict(zip(names_of(rules).inputs, given, strict=False)), given, node.attrs, outs)
    args, _ = arguments(node, [values[name] if name else None for name in node.inputs], takes)
    names = [s.inputs for s in (rules.cost_takes, rules.shape_takes) if s is not None]
    inputs = {name.lower(): value for order in names for name, value in zip_longest(order, args[: len(order)])}
    return View(node, inputs, tuple(args), {**defaults(rules), **node.attrs}, outs)


def defaults(rules: Rules) -> dict[str, Any]:
    """The attributes that have a default, with it."""
    found: dict[str, Any] = {}
    for rule in (rules.cost, rules.shape):
        for name, value in (getattr(rule, "__kwdefaults__", None) or {}).items():
            if found.get(name) is None:
                found[name] = value
    return found


def environment(seen: View) -> Environment:
    """Everything a formula may name in this node."""
    shapes: dict[str, Shape] = {}
    values: dict[str, Dim] = {name: v for name, v in seen.attrs.items() if type(v) is int}
    conditions: dict[str, Dim] = {}
    for name, value in (("in", seen.every[0] if seen.every else None), *seen.inputs.items()):
        if value is not None and value.shape is not None:
            shapes[name] = value.shape
            shapes[f"{name}.shape[1:]"] = value.shape[1:]
    for family in _FAMILIES:
        try:
            sizes, products, terms = family(seen)
        except (*INVALID, Undecided):
            continue
        values.update(sizes)
        shapes.update(products)
        conditions.update(terms)
    return Environment(values, shapes, conditions)


Found = tuple[Mapping[str, Dim], Mapping[str, Shape], Mapping[str, Dim]]


def _common(seen: View) -> Found:
    bias = seen.has("bias" if "bias" in seen.inputs else "b")
    softcap = 1 if seen.attrs.get("softcap") else 0
    alpha = 0 if seen.attrs.get("alpha", 1.0) == 1.0 else 1
    conditions: dict[str, Dim] = {
        **dict.fromkeys(("for a bias", "with a bias", "with biases"), bias),
        "for a bias and a sum": bias + seen.has("z", "sum"),
        "for c": seen.has("c") + alpha + (seen.has("c") if seen.attrs.get("beta", 1.0) != 1.0 else 0),
        "for alpha ! = 1": alpha,
        "with peepholes": seen.has("p"),
        "with a mask tensor": seen.has("attn_mask"),
        "with a soft cap": softcap,
        "with beta": seen.has("beta"),
        "for the norm": 1,
        "in training": 1 if seen.attrs.get("training_mode") or sum(map(bool, seen.node.outputs)) > 1 else 0,
    }
    return {"inputs": len([v for v in seen.every if v is not None])}, {"out": seen.out}, conditions


def _activation(seen: View) -> Found:
    from effaudit.ops.microsoft_matmul import activation_ops

    return {"the activation's number": activation_ops(seen.attrs["activation"])}, {}, {}


def _windows(seen: View) -> Found:
    stated = seen.attrs.get("kernel_shape")
    weights = seen.inputs.get("w")
    if weights is None or weights.shape is None:
        return {}, {"kernel": tuple(stated or ())}, {}
    group = seen.attrs.get("group") or 1
    values: dict[str, Dim] = {"group": group}
    if len(weights.shape) > 1:
        values["C"] = weights.shape[1] * group
    return values, {"kernel": weights.shape[2:]}, {}


def _products(seen: View) -> Found:
    if seen.node.op == "Einsum":
        return _einsum(seen)
    a, b = seen.shape("a"), seen.shape("b")
    if "transA" in seen.attrs and "Gemm" in seen.node.op:
        m, n = seen.out
        return {"M": m, "N": n, "K": a[0 if seen.attrs["transA"] else 1]}, {}, {}
    if "K" in seen.attrs:
        return {"rows": dims.floordiv(numel(a), seen.attrs["K"])}, {}, {}
    # a transposed operand (FusedMatMul) has its contracted axis elsewhere
    left = a[-2] if seen.attrs.get("transA") else a[-1]
    inner = left if isinstance(left, int) or seen.attrs.get("transB") else contracted(a, b)
    return {"K": inner}, {}, {}


def _einsum(seen: View) -> Found:
    """The labels that two operands have once each has summed those that only it has."""
    operands = [value.shape for value in seen.every if value is not None and value.shape is not None]
    parsed = Equation(seen.attrs["equation"], operands)
    left, right = parsed.labels
    kept = [x for x in dict.fromkeys((*left, *right)) if x in parsed.output or (x in left and x in right)]
    summed: Dim = 0
    for term in (left, right):
        if any(label not in kept for label in term):
            summed = summed + numel(parsed.sizes[label] for label in dict.fromkeys(term))
    products = {"labels": tuple(parsed.sizes[label] for label in kept)}
    return {}, products, {"per element of an operand that is summed on its own": summed}


def _recurrent(seen: View) -> Found:
    x, w, r = seen.shape("x"), seen.shape("w"), seen.shape("r")
    steps, batch = (x[1], x[0]) if seen.attrs.get("layout") else x[:2]
    hidden = r[2] if isinstance(r[2], int) else seen.attrs.get("hidden_size") or r[2]
    inner = x[2] if isinstance(x[2], int) else w[2]
    directions = 2 if seen.attrs.get("direction") == "bidirectional" else 1
    return {"steps": steps, "batch": batch, "directions": directions, "hidden": hidden, "input": inner}, {}, {}


def _attention(seen: View) -> Found:
    return _ATTENTION[seen.node.domain, seen.node.op](seen)


def _scaled_dot_product(seen: View) -> Found:
    """Attention of ai.onnx: B x S x (heads x size), or B x heads x S x size."""
    q, k, v = seen.shape("q"), seen.shape("k"), seen.shape("v")
    heads, kv_heads = seen.attrs.get("q_num_heads"), seen.attrs.get("kv_num_heads")
    if len(q) == 4:
        heads, queries, size = q[1:]
    else:
        assert isinstance(heads, int)
        queries, size = q[1], dims.floordiv(q[2], heads)
    value_size = v[3] if len(v) == 4 else dims.floordiv(v[2], kv_heads or 1)
    keys = k[2] if len(k) == 4 else k[1]
    if seen.has("past_key"):
        keys = keys + seen.shape("past_key")[2]
    assert heads is not None
    sizes = {"B": q[0], "Hq": heads, "Sq": queries, "Skv": keys, "head": size, "v_head": value_size}
    return sizes, {}, {}


def _projected(seen: View) -> Found:
    """Attention of com.microsoft, which holds its input projections."""
    from effaudit.ops.microsoft_attention import fused, valid_past

    x, w = seen.inputs["input"], seen.inputs.get("weights") or seen.inputs.get("weight")
    assert x is not None and w is not None
    past = seen.inputs.get("past")
    before = valid_past(seen.inputs.get("past_sequence_length"), seen.attrs.get("past_present_share_buffer") or 0)
    f = fused(x, w, seen.attrs["num_heads"], past, seen.attrs.get("qkv_hidden_sizes"), before)
    a = f.attend
    sizes: dict[str, Dim] = {
        "B": a.batch,
        "S": a.queries,
        "heads": a.heads,
        "Skv": a.keys,
        "head": a.head,
        "v_head": a.v_head,
        "columns of W": f.width,
        "input size": seen.shape("weights", "weight")[0],
        "masks": seen.has("mask_index"),
        "masks and biases": seen.has("mask_index", "attention_bias"),
    }
    rotated = 2 * f.tokens * a.heads * a.head if seen.attrs.get("do_rotary") else 0
    return sizes, {}, {"per rotated element": rotated}


def _multi_head(seen: View) -> Found:
    """MultiHeadAttention: rank 3 each, packed QKV or KV, or keys and values of a finished cache."""
    q, heads = seen.shape("query"), seen.attrs["num_heads"]
    key, value = seen.inputs.get("key"), seen.inputs.get("value")
    hidden = q[2]
    cached = False
    if key is None or key.shape is None:
        hidden = q[2] * q[4] if len(q) == 5 else dims.floordiv(q[2], 3)
        keys, v_hidden = q[1], hidden
    elif len(key.shape) == 5:
        keys, v_hidden = key.shape[1], key.shape[2] * key.shape[4]
    else:
        assert value is not None and value.shape is not None
        cached = len(key.shape) == 4
        keys = key.shape[2] if cached else key.shape[1]
        v_hidden = value.shape[1] * value.shape[3] if cached else value.shape[2]
    biased = q[0] * (q[1] * hidden + (0 if cached else keys * (hidden + v_hidden))) if seen.has("bias") else 0
    if seen.has("past_key") and not cached:
        past = scalar_dim(seen.inputs.get("past_sequence_length"))
        keys = keys + (seen.shape("past_key")[2] if past is None else past)
    sizes: dict[str, Dim] = {
        "B": q[0],
        "heads": heads,
        "S": q[1],
        "Skv": keys,
        "head": dims.floordiv(hidden, heads),
        "v_head": dims.floordiv(v_hidden, heads),
        "masks and biases": seen.has("key_padding_mask", "mask_index", "attention_bias"),
    }
    return sizes, {}, {"per element of q": biased}


def _grouped_query(seen: View) -> Found:
    from effaudit.ops.microsoft_grouped import Grouped

    query = seen.inputs["query"]
    assert query is not None
    g = Grouped(query, seen.inputs.get("key"), seen.attrs["num_heads"], seen.attrs["kv_num_heads"])
    batch, length = seen.shape("query")[:2]
    fresh = batch * g.head * (length * g.heads + g.fresh * g.kv_heads)
    total = scalar_dim(seen.inputs.get("total_sequence_length"))
    if total is None and seen.has("attention_bias"):
        total = seen.shape("attention_bias")[3]
    if total is None:
        total = _fed_total(seen) if seen.has("past_key") else g.fresh
    sizes: dict[str, Dim] = {
        "B": batch,
        "heads": g.heads,
        "S": length,
        "total length": total,
        "head": g.head,
        "biases": seen.has("attention_bias"),
    }
    conditions: dict[str, Dim] = {
        "per rotated element": g.rotary_ops() // 3 if seen.attrs.get("do_rotary") else 0,
        "per element of q and new k with norms": fresh if seen.has("q_norm_weight") else 0,
        "per row with a sink": batch * g.heads * length if seen.has("head_sink") else 0,
        "per new and 2 per read element of a quantized cache": 0,
    }
    return sizes, {}, conditions


def _fed_total(seen: View) -> Dim:
    """The dim of the present keys that stands for a total length only the run tells."""
    present = seen.outs[1] if len(seen.outs) > 1 else None
    if present is None or present.shape is None:
        raise Undecided("the total length")
    (fed,) = (s for s in dims.symbols(present.shape[2]) if s.origin == "data")
    return Expr({((fed, 1),): 1})


_ATTENTION: Final[Mapping[tuple[str, str], Callable[[View], Found]]] = {
    ("", "Attention"): _scaled_dot_product,
    (MICROSOFT, "Attention"): _projected,
    (MICROSOFT, "QAttention"): _projected,
    (MICROSOFT, "MultiHeadAttention"): _multi_head,
    (MICROSOFT, "DecoderMaskedMultiHeadAttention"): _multi_head,
    (MICROSOFT, "GroupQueryAttention"): _grouped_query,
    (MICROSOFT, "SparseAttention"): _grouped_query,
}
_FAMILIES: Final = (_common, _activation, _windows, _products, _recurrent, _attention)
