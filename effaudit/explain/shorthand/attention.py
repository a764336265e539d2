"""Attention by tokens, width and heads; `kv_tokens` are the keys attended to, a cache included."""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.errors import UsageError
from effaudit.explain.call import Call, Operand
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short, divided
from effaudit.graph import INT32, Shape


class _Sizes:
    def __init__(self, given: Given) -> None:
        self.batch, self.tokens, self.d = given.size("batch"), given.size("tokens"), given.size("d")
        self.heads = given.number("heads")
        self.kv_heads = given.number("kv_heads", self.heads)
        self.keys = given.size("kv_tokens", self.tokens)
        self.head = divided(self.d, self.heads, "d into heads")

    @property
    def query(self) -> Shape:
        return (self.batch, self.tokens, self.d)

    @property
    def key(self) -> Shape:
        return (self.batch, self.keys, self.kv_heads * self.head)


def _standard(found: Operator, given: Given) -> Call:
    z = _Sizes(given)
    inputs = {"q": given.data(*z.query), "k": given.data(*z.key), "v": given.data(*z.key)}
    heads = {"q_num_heads": z.heads, "kv_num_heads": z.kv_heads}
    return Call(found.domain, found.op, inputs, {**heads, **given.attrs})


def _projected(found: Operator, given: Given) -> Call:
    """com.microsoft::Attention, with the projections of Q, K and V; keys before the new tokens are a cache."""
    z = _Sizes(given)
    inputs: dict[str, Operand] = {"input": given.data(*z.query), "weights": given.weight(z.d, 3 * z.d)}
    if given.flag("bias", default=True):
        inputs["bias"] = given.weight(3 * z.d)
    past = _past(z)
    if past != 0:
        inputs["past"] = given.data(2, z.batch, z.heads, past, z.head)
    return Call(found.domain, found.op, inputs, {"num_heads": z.heads, **given.attrs})


def _multi_head(found: Operator, given: Given) -> Call:
    z = _Sizes(given)
    inputs = {"query": given.data(*z.query), "key": given.data(*z.key), "value": given.data(*z.key)}
    return Call(found.domain, found.op, inputs, {"num_heads": z.heads, **given.attrs})


def _grouped(found: Operator, given: Given) -> Call:
    """com.microsoft::GroupQueryAttention over a cache that holds what the new tokens do not bring."""
    z = _Sizes(given)
    fresh = (z.batch, z.tokens, z.kv_heads * z.head)
    inputs: dict[str, Operand] = {"query": given.data(*z.query), "key": given.data(*fresh), "value": given.data(*fresh)}
    past = _past(z)
    if past != 0:
        cache = given.data(z.batch, z.kv_heads, past, z.head)
        inputs |= {"past_key": cache, "past_value": cache}
    inputs["seqlens_k"] = Operand(INT32, (z.batch,))
    if not isinstance(z.keys, int):
        raise UsageError(f"{found.op}: tokens and kv_tokens must be numbers here")
    inputs["total_sequence_length"] = Operand(INT32, (1,), False, (z.keys,))
    return Call(found.domain, found.op, inputs, {"num_heads": z.heads, "kv_num_heads": z.kv_heads, **given.attrs}, 3)


def _past(z: _Sizes) -> Dim:
    past = z.keys - z.tokens
    if isinstance(past, int) and past < 0:
        raise UsageError(f"kv_tokens: {z.keys} keys for {z.tokens} tokens; they include the new ones")
    return past


_KEYS = {
    "tokens": "queries",
    "d": "width: heads x head size",
    "heads": "query heads",
    "kv_heads": "key and value heads (heads)",
    "kv_tokens": "keys attended to, a cache included (tokens)",
    "batch": "sequences (1)",
    "dtype": "element type (float32)",
}
_NEEDS = (("tokens",), ("d",), ("heads",))
_EXAMPLE = "tokens=128 d=768 heads=12"
STANDARD = Short(frozenset(("Attention",)), _KEYS, _NEEDS, _EXAMPLE, _standard)
_OWN = {name: text for name, text in _KEYS.items() if name != "kv_heads"}
PROJECTED = Short(frozenset(("Attention",)), {**_OWN, "bias": "yes or no (yes)"}, _NEEDS, _EXAMPLE, _projected)
MULTI_HEAD = Short(frozenset(("MultiHeadAttention",)), _OWN, _NEEDS, _EXAMPLE, _multi_head)
GROUPED = Short(
    frozenset(("GroupQueryAttention",)),
    _KEYS,
    _NEEDS,
    "tokens=1 d=4096 heads=32 kv_heads=8 kv_tokens=2048",
    _grouped,
)
