"""Convolutions by channels, kernel, stride, padding, dilation and groups; 1-D to 3-D by how many sizes are given."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.dims import Dim
from effaudit.errors import UsageError
from effaudit.explain.call import Call, Operand
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short, divided
from effaudit.graph import Shape


class _Window:
    """Kernel, strides, padding, dilations and the sizes before or after, one per axis."""

    def __init__(self, given: Given) -> None:
        texts = {name: given.sizes(name) or () for name in ("k", "s", "d", "in", "out")}
        padded = given.text("p", "0").strip().lower()
        self.same = padded == "same"
        texts["p"] = () if self.same else given.sizes("p") or ()
        self.rank = max(len(sizes) for sizes in texts.values())
        if self.rank > 3:
            raise UsageError(f"{self.rank} sizes where there are at most 3 axes")
        self.kernel, self.strides, self.dilations = (
            numbers(texts[name], self.rank, default, name) for name, default in (("k", 1), ("s", 1), ("d", 1))
        )
        self.pads = [d * (k - 1) // 2 for d, k in zip(self.dilations, self.kernel, strict=True)]
        if self.same and any(d * (k - 1) % 2 for d, k in zip(self.dilations, self.kernel, strict=True)):
            raise UsageError("p=same: needs an odd kernel; give the padding as a number")
        if not self.same:
            self.pads = numbers(texts["p"], self.rank, 0, "p")
        self.before = spread(texts["in"], self.rank) if texts["in"] else None
        self.after = spread(texts["out"], self.rank) if texts["out"] else None

    @property
    def attrs(self) -> dict[str, object]:
        return {
            "kernel_shape": tuple(self.kernel),
            "strides": tuple(self.strides),
            "pads": (*self.pads, *self.pads),
            "dilations": tuple(self.dilations),
        }

    @property
    def reach(self) -> list[int]:
        """The span of one window."""
        return [d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel, strict=True)]


def spread(sizes: Sequence[Dim], rank: int) -> tuple[Dim, ...]:
    """One size for every axis, or a size per axis. Raises UsageError on another number of them."""
    if len(sizes) not in (1, rank):
        raise UsageError(f"{len(sizes)} sizes where another argument has {rank}")
    return tuple(sizes) * (rank if len(sizes) == 1 else 1)


def numbers(sizes: Shape, rank: int, default: int, what: str) -> list[int]:
    """A whole number per axis."""
    found = spread(sizes or (default,), rank)
    if not all(isinstance(size, int) for size in found) or any(size < default and size < 1 for size in found):
        raise UsageError(f"{what}: expected whole numbers of {default} or more")
    return [size for size in found if isinstance(size, int)]


def _conv(found: Operator, given: Given) -> Call:
    window = _Window(given)
    cin, cout = given.size("cin"), given.size("cout")
    groups = given.size("g", 1)
    notes = []
    before = window.before
    if before is None:
        assert window.after is not None
        before = tuple(
            (size - 1) * s + reach - 2 * p
            for size, s, reach, p in zip(window.after, window.strides, window.reach, window.pads, strict=True)
        )
        notes.append(f"in={'x'.join(map(str, before))} follows from out, k, s, p and d")
        if any(isinstance(size, int) and size < 1 for size in before):
            raise UsageError(f"{found.op}: no input gives out={given.text('out')} with this k, s, p and d")
    elif window.after is not None:
        made = tuple(
            (size + 2 * p - reach) // s + 1
            for size, s, reach, p in zip(before, window.strides, window.reach, window.pads, strict=True)
        )
        if made != window.after:
            raise UsageError(f"{found.op}: in={given.text('in')} gives out={'x'.join(map(str, made))} here")
    inputs = {
        "x": given.data(given.size("batch"), cin, *before),
        "w": given.weight(cout, divided(cin, groups, "cin into g groups"), *window.kernel),
    }
    return _with_bias(found, given, inputs, cout, {**window.attrs, "group": groups}, notes)


def _transposed(found: Operator, given: Given) -> Call:
    window = _Window(given)
    cin, cout = given.size("cin"), given.size("cout")
    groups = given.size("g", 1)
    notes, before = [], window.before
    extra: tuple[Dim, ...] = (0,) * window.rank
    if before is None:
        assert window.after is not None
        spans = [
            (size + 2 * p - reach, s)
            for size, p, reach, s in zip(window.after, window.pads, window.reach, window.strides, strict=True)
        ]
        before = tuple(span // s + 1 for span, s in spans)
        extra = tuple(span % s for span, s in spans)
        notes.append(f"in={'x'.join(map(str, before))} follows from out, k, s, p and d")
    elif window.after is not None:
        made = tuple(
            (size - 1) * s + reach - 2 * p
            for size, s, reach, p in zip(before, window.strides, window.reach, window.pads, strict=True)
        )
        extra = tuple(out - size for out, size in zip(window.after, made, strict=True))
        if any(isinstance(e, int) and not 0 <= e < s for e, s in zip(extra, window.strides, strict=True)):
            raise UsageError(f"{found.op}: in={given.text('in')} gives out={'x'.join(map(str, made))} here")
    if not all(isinstance(e, int) for e in extra):
        raise UsageError(f"{found.op}: give in= instead of out= where sizes are names")
    inputs = {
        "x": given.data(given.size("batch"), cin, *before),
        "w": given.weight(cin, divided(cout, groups, "cout into g groups"), *window.kernel),
    }
    attrs = {**window.attrs, "group": groups, "output_padding": extra}
    return _with_bias(found, given, inputs, cout, attrs, notes)


def _with_bias(
    found: Operator, given: Given, inputs: dict[str, Operand], cout: Dim, attrs: dict[str, object], notes: list[str]
) -> Call:
    if not isinstance(attrs["group"], int):
        raise UsageError(f"{found.op}: g must be a number")
    if given.flag("bias"):
        inputs["b"] = given.weight(cout)
    return Call(found.domain, found.op, inputs, {**attrs, **given.attrs}, 1, tuple(notes))


_KEYS = {
    "cin": "input channels",
    "cout": "output channels",
    "k": "kernel: 3 or 3x3",
    "s": "stride (1)",
    "p": "padding on each side (0), or same",
    "d": "dilation (1)",
    "g": "groups (1); cin for depthwise",
    "in": "input size: 56x56",
    "out": "output size: 56x56, instead of in",
    "batch": "images (1)",
    "bias": "yes or no (no)",
    "dtype": "element type (float32)",
}
_NEEDS = (("cin",), ("cout",), ("k",), ("in", "out"))
CONV = Short(frozenset(("Conv", "FusedConv")), _KEYS, _NEEDS, "cin=64 cout=128 k=3 p=1 in=56x56", _conv)
TRANSPOSED = Short(frozenset(("ConvTranspose",)), _KEYS, _NEEDS, "cin=64 cout=32 k=2 s=2 in=28x28", _transposed)
