"""Attention in one operator: hidden sizes are heads of elements, and heads that share keys go together."""

from __future__ import annotations

from typing import Final

from effaudit.axes._registry import couples
from effaudit.axes.call import Call, Unsuited
from effaudit.axes.terms import OPEN, Axes, Term, block, product, total, unify
from effaudit.ops._registry import MICROSOFT

WHOLE: Final = "heads are pruned whole"


def head_of(size: int) -> Term:
    """The elements of one head, which stay."""
    return Term(size, blocked=WHOLE)


@couples("MultiHeadAttention", domain=MICROSOFT)
def multi_head(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftmultiheadattention"""
    q, k, v, y = call.axes(0), call.axes(1), call.axes(2), call.out()
    count = call.attr("num_heads")
    if not (len(q) == 3 and len(k) in (3, 4) and len(v) == len(k)) or OPEN in (q[2].size, y[2].size):
        raise Unsuited("MultiHeadAttention with packed keys and values has no coupling rule")
    heads, head, v_head = Term(count), head_of(q[2].size // count), head_of(y[2].size // count)
    hidden, v_hidden = product((heads, head)), product((heads, v_head))
    unify(q[2], hidden)
    unify(y[2], v_hidden)
    call.same(q[:2], y[:2])
    _cached(call, (k, v), (heads, hidden, v_hidden))
    if call.has(3):
        unify(call.axes(3)[0], total((hidden, hidden, v_hidden)))
    _scores(call, 5, heads)
    for slot in (6, 7):
        _cache(call, slot, heads)
    _presents(call, heads)
    call.follows("num_heads", heads)


def _cached(call: Call, kv: tuple[Axes, Axes], sizes: tuple[Term, Term, Term]) -> None:
    """Keys and values: [batch, positions, hidden], or [batch, heads, positions, head]."""
    heads, *hidden = sizes
    for axes, wide in zip(kv, hidden, strict=True):
        if len(axes) == 3:
            unify(axes[2], wide)
            call.fix(axes[1:2], "it is a sequence")
        else:
            unify(axes[1], heads)
            call.fix(axes[2:], WHOLE)


def _scores(call: Call, slot: int, heads: Term) -> None:
    """A bias of the scores, [batch or 1, heads or 1, queries, keys]."""
    axes = call.axes(slot)
    if axes:
        if len(axes) >= 3 and axes[-3].size != 1:
            unify(axes[-3], heads)
        call.fix(axes[-2:], "it is a sequence")


def _cache(call: Call, slot: int, heads: Term) -> None:
    axes = call.axes(slot)
    if axes:
        unify(axes[1], heads)
        call.fix(axes[2:], WHOLE)


def _presents(call: Call, heads: Term) -> None:
    for slot in range(1, len(call.node.outputs)):
        axes = call.out(slot)
        if axes:
            unify(axes[1], heads)
            call.fix(axes[2:], WHOLE)


@couples("GroupQueryAttention", domain=MICROSOFT)
def group_query(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftgroupqueryattention"""
    q, k, v, y = call.axes(0), call.axes(1), call.axes(2), call.out()
    heads, shared = call.attr("num_heads"), call.attr("kv_num_heads")
    if OPEN in (q[2].size, y[2].size) or heads % shared or (call.has(11) or call.has(14)):
        raise Unsuited("GroupQueryAttention of this form has no coupling rule")
    kv, each, head = Term(shared), Term(heads // shared), head_of(y[2].size // heads)
    queries, keys = product((kv, each, head)), product((kv, head))
    unify(y[2], queries)
    unify(q[2], queries if k else total((queries, keys, keys)))
    call.same(q[:2], y[:2])
    for axes in (k, v):
        if axes:
            unify(axes[2], keys)
            call.fix(axes[1:2], "it is a sequence")
    for slot in (3, 4):
        _cache(call, slot, kv)
    _scores(call, 10, product((kv, each)))
    for slot in (7, 8):
        call.fix(call.axes(slot), WHOLE)
    _presents(call, kv)
    call.follows("num_heads", product((kv, each)))
    call.follows("kv_num_heads", kv)


@couples("Attention", domain=MICROSOFT)
def packed(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftattention"""
    x, w, y = call.axes(0), call.axes(1), call.out()
    count = call.attr("num_heads")
    sizes = call.attr("qkv_hidden_sizes") or (w[1].size // 3,) * 3
    if sum(sizes) != w[1].size or sizes[0] != sizes[1]:
        raise Unsuited("Attention with such hidden sizes has no coupling rule")
    heads = Term(count)
    hidden, v_hidden = product((heads, head_of(sizes[0] // count))), product((heads, head_of(sizes[2] // count)))
    unify(x[2], w[0])
    call.same(x[:2], y[:2])
    unify(w[1], total((hidden, hidden, v_hidden)))
    unify(y[2], v_hidden)
    call.vector(2, w[1])
    past = call.axes(4)
    if past:
        unify(past[2], heads)
        call.fix((past[0], *past[3:]), WHOLE)
    _scores(call, 5, heads)
    present = call.out(1)
    if present:
        unify(present[2], heads)
        call.fix((present[0], *present[3:]), WHOLE)
    call.follows("num_heads", heads)
    if call.attr("qkv_hidden_sizes"):
        call.edit_lengths("qkv_hidden_sizes", (hidden, hidden, v_hidden))
    call.made_by(1, w[1])


@couples("Attention")
def attention(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Attention.html: rank 3 with numbers of heads, or rank 4"""
    q, k, v, y = (*(call.axes(i) for i in range(3)), call.out())
    if len({len(q), len(k), len(v), len(y)}) != 1 or OPEN in [t.size for t in (*q, *k, *v, *y)]:
        raise Unsuited("Attention of mixed ranks has no coupling rule")
    heads, shared = (call.attr("q_num_heads"), call.attr("kv_num_heads")) if len(q) == 3 else (q[1].size, k[1].size)
    if not heads or not shared or heads % shared:
        raise Unsuited("Attention without numbers of heads has no coupling rule")
    kv, each = Term(shared), Term(heads // shared)
    every = product((kv, each))
    for axes, number, term in ((q, heads, every), (k, shared, kv), (v, shared, kv), (y, heads, every)):
        if len(axes) == 4:
            unify(axes[1], term)
            block(axes[3], WHOLE)
        else:
            unify(axes[2], product((term, head_of(axes[2].size // number))))
    sequence = 2 if len(q) == 4 else 1
    unify(q[0], y[0])
    call.fix((q[sequence], k[sequence], v[sequence], y[sequence]), "it is a sequence")
    _scores(call, 3, every)
    for slot in (4, 5):
        _cache(call, slot, kv)
    for slot, term in ((1, kv), (2, kv), (3, every)):
        axes = call.out(slot)
        if axes:
            unify(axes[1], term)
            call.fix(axes[2:], WHOLE)
    if len(q) == 3:
        call.follows("q_num_heads", every)
        call.follows("kv_num_heads", kv)


@couples("RotaryEmbedding")
@couples("RotaryEmbedding", domain=MICROSOFT)
def rotary(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html: pairs inside each head turn"""
    x, y = call.axes(0), call.out()
    call.same(x, y)
    for slot in range(1, len(call.node.inputs)):
        call.fix(call.axes(slot)[-1:], WHOLE)
    count = call.attr("num_heads", 0)
    if len(x) == 4:
        block(x[3], WHOLE)
    elif count and x[2].size % count == 0:
        heads = Term(count)
        unify(x[2], product((heads, head_of(x[2].size // count))))
        call.follows("num_heads", heads)
    else:
        block(x[2], WHOLE)
