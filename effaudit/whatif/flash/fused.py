"""The graph with an operator for each attention that it spells out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Node, Value
from effaudit.lower._rewrite import Wiring
from effaudit.nearest import did_you_mean
from effaudit.ops._registry import MICROSOFT
from effaudit.printable import printable
from effaudit.units import human_bytes
from effaudit.whatif.constants import literal
from effaudit.whatif.draft import Draft
from effaudit.whatif.flash import OPTION, Arguments, text
from effaudit.whatif.flash.pattern import FLOAT, Pattern, Unfit, pattern
from effaudit.whatif.products import first, matches, patterns
from effaudit.whatif.spelled import ODD, Spelled, spelled
from effaudit.whatif.types import Blocked, Change, Detail

TABLE: Final = "attention in one operator"
STANDARD: Final = 23  # the opset from which ai.onnx has Attention
SHAPE_OF_PART: Final = 15  # the opset from which Shape gives a part of a shape
SWAPPED: Final = (0, 2, 1, 3)
TURNED: Final = (0, 1, 3, 2)


class Fused(msgspec.Struct, frozen=True):
    """One attention, the operator that stands for it, and the bytes of its scores and of all tensors that are gone."""

    label: str
    operator: str
    sizes: tuple[int, ...]
    scores: int | None
    gone: int | None
    tensors: int


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with attention in single operators. Raises UsageError."""
    draft, wiring = Draft(audited), Wiring(audited.graph)
    made, blocked = list[Fused](), list[Blocked]()
    masks: dict[tuple[str, str], str] = {}
    known, odd = spelled(audited)
    meant = _meant(audited, [*(one.softmax for one in known), *odd], arguments)
    blocked += [Blocked(audited.raw.nodes[i].label, ODD) for i in odd if i in meant]
    for one in known:
        label = audited.raw.nodes[one.softmax].label
        if one.softmax not in meant:
            continue
        try:
            made.append(_fused(audited, draft, wiring, one, masks))
        except Unfit as why:
            blocked.append(Blocked(label, str(why)))
    if not made:
        none = "" if blocked else "; it spells out no attention"
        raise UsageError(f"{audited.name}: {OPTION}: no attention can be one operator{first(blocked)}{none}")
    return Change(
        draft.graph(f"{OPTION} {text(arguments)}"),
        notes=tuple(_notes(made)),
        blocked=tuple(blocked),
        details=tuple(_detail(one) for one in made),
    )


def _meant(audited: Audited, found: Sequence[int], arguments: Arguments) -> set[int]:
    """The softmax nodes that are asked for. Raises UsageError for a pattern that none has."""
    names = [(audited.raw.nodes[i].label, audited.raw.nodes[i].outputs[0]) for i in found]
    only, skip = patterns(arguments.only), patterns(arguments.skip)
    for tried in (*only, *skip):
        if found and not any(matches(one, (tried,)) for one in names):
            hint = did_you_mean(tried, [name for one in names for name in one])
            raise UsageError(f"{OPTION}: no attention has a name like {printable(repr(tried), 80)}{hint}")
    pairs = zip(found, names, strict=True)
    return {i for i, name in pairs if (not only or matches(name, only)) and not matches(name, skip)}


def _fused(audited: Audited, draft: Draft, wiring: Wiring, one: Spelled, masks: dict[tuple[str, str], str]) -> Fused:
    """Puts an operator into the draft; `masks` are those that other attentions read already. Raises Unfit."""
    found = pattern(audited, draft, wiring, one)
    values = audited.graph.values
    scores = values[audited.raw.nodes[one.scores].outputs[0]]
    if scores.shape is None or len(scores.shape) != 4:
        raise Unfit("its heads lie in one axis with the batch, or it has none")
    standard = audited.raw.opsets.get("", 1) >= STANDARD
    if not standard and (found.wide or scores.encoding.dtype != "float32"):
        raise Unfit(
            f"com.microsoft MultiHeadAttention computes in float32 alone on a CPU, and its scores are "
            f"{scores.encoding.dtype}; Attention of opset {STANDARD} would do"
        )
    build = _Build(audited, draft, wiring, one, found, masks)
    nodes = build.standard() if standard else build.microsoft()
    for i in found.nodes[:-1]:
        draft.put(i)
    draft.put(one.values, *nodes)
    gone = [values[name] for i in found.nodes[:-1] for name in audited.raw.nodes[i].outputs if name]
    operator = "Attention" if standard else f"{MICROSOFT} MultiHeadAttention"
    sizes = tuple(dim if type(dim) is int else 0 for dim in scores.shape)
    total = [_bytes(value) for value in gone]
    whole = None if None in total else sum(size or 0 for size in total)
    label = audited.raw.nodes[one.softmax].label
    return Fused(label, operator, sizes, _bytes(scores), whole, len(gone))


def _bytes(value: Value) -> int | None:
    size = None if value.shape is None else value.nbytes
    return size if type(size) is int else None


class _Build:
    """The nodes that stand for one attention."""

    def __init__(
        self,
        audited: Audited,
        draft: Draft,
        wiring: Wiring,
        one: Spelled,
        found: Pattern,
        masks: dict[tuple[str, str], str],
    ) -> None:
        self.masks = masks
        self.audited, self.draft, self.wiring, self.one, self.found = audited, draft, wiring, one, found
        nodes = audited.raw.nodes
        behind = nodes[one.behind[-1] if one.behind else one.softmax].outputs[0]
        self.q, self.kt = nodes[one.scores].inputs
        self.v = next(name for name in nodes[one.values].inputs if name != behind)
        self.out = nodes[one.values].outputs[0]
        self.name = nodes[one.softmax].name
        self.nodes: list[Node] = []
        self.values = audited.graph.values

    def standard(self) -> list[Node]:
        """Attention of ai.onnx, which reads and writes [batch, heads, length, head]; ONNX Runtime wants its mask as
        long and as wide as the scores.

        https://onnx.ai/onnx/operators/onnx__Attention.html
        """
        mask = self.found.mask
        if mask and not self.found.where and self.values[mask].encoding != self.values[self.q].encoding:
            raise Unfit(f"its mask {mask!r} is {self.values[mask].encoding.dtype}, its queries are not")
        attrs: dict[str, object] = {"scale": self.found.scale}
        if self.found.wide and self.values[self.q].encoding.dtype != "float32":
            attrs["softmax_precision"] = FLOAT
        read = (self.q, self.keys(), self.v, *([self.masking()] if mask else []))
        self.nodes.append(Node(self.name, "", "Attention", read, (self.out,), attrs))
        return self.nodes

    def microsoft(self) -> list[Node]:
        """MultiHeadAttention of com.microsoft: queries [batch, length, heads x head], keys and values [batch, heads,
        length, head], a mask as long and as wide as the scores.

        https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MultiHeadAttention
        """
        heads = self.values[self.q].shape[1]  # type: ignore[index]
        if type(heads) is not int:
            raise Unfit("how many heads it has is not known")
        for name in (self.kt, self.v):
            if (self.values[name].shape or (0, 0))[1] != heads:
                raise Unfit(f"{name!r} is shared by heads without being repeated")
        read = [self.flat(self.q), self.keys(), self.v]
        if (self.values[self.kt].shape or (0,) * 4)[2] != (self.values[self.v].shape or (0,))[-1]:
            read[1:] = [self.flat(name) for name in read[1:]]  # keys and values of other sizes have no axis of heads
        if self.found.mask:
            read += ["", "", self.masking()]
        made = self.draft.fresh(f"{self.out}.flat")
        attrs = {"num_heads": heads, "scale": self.found.scale}
        self.nodes.append(Node(self.name, MICROSOFT, "MultiHeadAttention", tuple(read), (made,), attrs))
        self.draft.opsets.setdefault(MICROSOFT, 1)
        self.split(made, heads)
        return self.nodes

    def _made(self, op: str, read: Sequence[str], like: str, **attrs: object) -> str:
        output = self.draft.fresh(like)
        self.nodes.append(Node("", "", op, tuple(read), (output,), attrs))
        return output

    def _numbers(self, like: str, *numbers: int) -> str:
        import numpy as np

        return self.draft.add(like, literal("", np.array(numbers, np.int64)))

    def _maker(self, name: str, perm: tuple[int, ...]) -> Node | None:
        """The Transpose by these axes that makes a tensor."""
        node = self.draft.makers.get(name)
        fits = node is not None and node.op == "Transpose" and not node.domain and node.attrs.get("perm") == perm
        return node if fits else None

    def flat(self, name: str) -> str:
        """[batch, heads, length, head] -> [batch, length, heads x head]."""
        before = self._maker(name, SWAPPED)
        source = before.inputs[0] if before else self._made("Transpose", (name,), f"{name}.by_length", perm=SWAPPED)
        return self._made("Reshape", (source, self._numbers("by_length", 0, 0, -1)), f"{name}.flat")

    def keys(self) -> str:
        """Keys [batch, heads, length, head] of their transpose."""
        before = self._maker(self.kt, TURNED)
        if before:
            return before.inputs[0]
        before = self._maker(self.kt, (0, 2, 3, 1))
        if before:
            return self._made("Transpose", (before.inputs[0],), f"{self.kt}.keys", perm=SWAPPED)
        return self._made("Transpose", (self.kt,), f"{self.kt}.keys", perm=TURNED)

    def masking(self) -> str:
        """The mask that the operator reads, made once for all attentions."""
        key = self.found.mask, self.found.where
        if key not in self.masks:
            self.masks[key] = self.stretched(self.bias())
        return self.masks[key]

    def bias(self) -> str:
        """What is added to the scores; of a condition, nothing or what masks."""
        mask, shape = self.found.mask, self.values[self.found.mask].shape
        if shape is None or len(shape) > 4:
            raise Unfit(f"the shape of its mask {mask!r} is not known")
        if not self.found.where:
            return mask
        import numpy as np

        from effaudit.graph import Encoding
        from effaudit.whatif.fold._affine import as_stored

        kind: Encoding = self.values[self.found.where].encoding
        zero = self.draft.add("kept", literal("", as_stored(np.zeros(()), kind), kind))
        return self._made("Where", (mask, zero, self.found.where), f"{mask}.bias")

    def stretched(self, name: str) -> str:
        """A mask [batch or 1, heads or 1, queries, keys]: it is repeated along an axis of queries or keys that it has
        once."""
        wide = self.audited.symbolic.values[self.audited.raw.nodes[self.one.scores].outputs[0]].shape
        have = self.audited.symbolic.values[self.found.mask].shape
        assert wide is not None
        if have is not None and len(have) == 4 and have[2:] == wide[2:]:
            return name
        if all(type(dim) is int for dim in wide[2:]):
            sizes = [dim for dim in wide[2:] if type(dim) is int]
            return self._made("Expand", (name, self._numbers("scores", 1, 1, *sizes)), f"{name}.wide")
        if self.audited.raw.opsets.get("", 1) < SHAPE_OF_PART:
            raise Unfit(f"its mask is repeated for queries of no fixed number, which takes opset {SHAPE_OF_PART}")
        queries = self._made("Shape", (self.q,), f"{self.q}.queries", start=2, end=3)
        keys = self._made("Shape", (self.v,), f"{self.v}.keys", start=2, end=3)
        one = self._numbers("one", 1)
        target = self._made("Concat", (one, one, queries, keys), f"{name}.shape", axis=0)
        return self._made("Expand", (name, target), f"{name}.wide")

    def split(self, made: str, heads: int) -> None:
        """[batch, length, heads x head] -> what stood there: [batch, heads, length, head], or its transpose where
        that is what is read."""
        target = self._numbers("by_head", 0, 0, heads, -1)
        j = self.wiring.only_reader(self.out)
        after = None if j is None else self.audited.raw.nodes[j]
        if j is not None and after is not None and after.op == "Transpose" and after.attrs.get("perm") == SWAPPED:
            self.nodes.append(Node("", "", "Reshape", (made, target), after.outputs, {}))
            self.draft.put(j)
            return
        parts = self._made("Reshape", (made, target), f"{self.out}.by_head")
        self.nodes.append(Node("", "", "Transpose", (parts,), (self.out,), {"perm": SWAPPED}))


# ---- what is told
def _detail(one: Fused) -> Detail:
    batch, heads, queries, keys = one.sizes
    return Detail(
        TABLE,
        one.label,
        {
            "operator": one.operator,
            "batch": batch,
            "heads": heads,
            "queries": queries,
            "keys": keys,
            "scores_bytes": one.scores,
            "tensors_gone": one.tensors,
            "bytes_gone": one.gone,
        },
    )


def _notes(made: Sequence[Fused]) -> Iterator[str]:
    sizes = [one.scores for one in made]
    largest = f", the scores of the largest {human_bytes(max(s for s in sizes if s is not None))}" if any(sizes) else ""
    yield f"{len(made)} attention{'s are' if len(made) > 1 else ' is'} one operator each{largest}"
    yield (
        "the scores are no tensors any more; whether a kernel keeps them in its workspace is its own matter: live and "
        "arena do not count it"
    )
