"""Convolutions by channels, kernel, stride, padding, dilation and groups, over one to three axes."""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.errors import UsageError
from effaudit.explain.call import Call, Operand
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short, divided
from effaudit.explain.shorthand._axes import MEANING, RANK, axes, numbers, spread


class _Window:
    """Kernel, strides, padding, dilations and the sizes before or after, one per axis."""

    def __init__(self, found: Operator, given: Given) -> None:
        same = given.text("p").strip().lower() == "same"
        sizes = ("k", "s", "d", "in", "out") if same else ("k", "s", "d", "p", "in", "out")
        self.rank, self.notes = axes(found, given, sizes)
        texts = {name: given.sizes(name) or () for name in sizes}
        self.kernel, self.strides, self.dilations = (
            numbers(texts[name], self.rank, 1, name) for name in ("k", "s", "d")
        )
        self.pads = [d * (k - 1) // 2 for d, k in zip(self.dilations, self.kernel, strict=True)]
        if same and any(d * (k - 1) % 2 for d, k in zip(self.dilations, self.kernel, strict=True)):
            raise UsageError("p=same: needs an odd kernel; give the padding as a number")
        if not same:
            self.pads = numbers(texts["p"], self.rank, 0, "p")
        if not texts["in"] and not texts["out"]:
            raise UsageError(f"{found.op}: in= or out=: a size is missing; write it like 56x56")
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


def _conv(found: Operator, given: Given) -> Call:
    window = _Window(found, given)
    cin, cout = given.size("cin"), given.size("cout")
    groups = given.size("g", 1)
    notes = list(window.notes)
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
    window = _Window(found, given)
    cin, cout = given.size("cin"), given.size("cout")
    groups = given.size("g", 1)
    notes, before = list(window.notes), window.before
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
    RANK: MEANING,
    "batch": "images (1)",
    "bias": "yes or no (no)",
    "dtype": "element type (float32)",
}
_NEEDS = (("cin",), ("cout",), ("k",), ("in", "out"))
CONV = Short(frozenset(("Conv", "FusedConv")), _KEYS, _NEEDS, "cin=64 cout=128 k=3 p=1 in=56x56", _conv)
TRANSPOSED = Short(frozenset(("ConvTranspose",)), _KEYS, _NEEDS, "cin=64 cout=32 k=2 s=2 in=28x28", _transposed)
