"""The registry of operator rules: one `Rules` per (domain, operator), filled by the decorators below.

A shape rule is a pure function of the node's input `Value`s: its positional names are the schema's inputs, its keywords
the attributes with their defaults, and it returns one `Value` per output. A cost rule has the same arguments plus
`out`, the first output's `Value` (or `outs`, all of them). A rule that needs the number of outputs, the opset version
or a fresh unknown dim takes the keyword `ctx`, a `Context`.

An attribute that another version of the operator turned into an input of the same name arrives as that input, whichever
form the file uses. Attributes a rule does not name are not passed.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import CodeType
from typing import Any, Final, Protocol, TypeVar

import msgspec

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.graph import Graph, Node, Value, numel

Rule = TypeVar("Rule", bound=Callable[..., Any])

ONNX: Final = ""
ML: Final = "ai.onnx.ml"
MICROSOFT: Final = "com.microsoft"
NCHWC: Final = "com.microsoft.nchwc"


# The kinds of operators that multiply and accumulate; all others have ops only.
MAC_KINDS: Final = frozenset(
    """conv grouped depthwise pointwise transposed gemm attention attention-scores attention-values recurrent control
    function other""".split()
)
CONV_KINDS: Final = frozenset("conv grouped depthwise pointwise transposed".split())


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What one run of a node costs, in operations (not bytes).

    `macs`: multiply-accumulates, `ops`: other scalar operations, under `effaudit-macs/1`. `reads` and `writes`, in
    bytes, are given only by nodes that do not read every input once and write every output once.
    """

    macs: Dim = 0
    ops: Dim = 0
    reads: Dim | None = None
    writes: Dim | None = None


class Unpriced(ValueError):
    """Raised by a cost rule that has no price for a valid node; the message says why."""


class Bodies(Protocol):
    """How a rule of control flow runs the bodies of its node; what ran is kept for pricing, under its label."""

    def graph(self, attribute: str) -> Graph:
        """The body as written. Raises KeyError where the node has none of that name."""

    def run(self, attribute: str, inputs: Sequence[Value], label: str = "") -> tuple[Value, ...]:
        """The outputs of a body for these inputs."""

    def probe(self, attribute: str, inputs: Sequence[Value], wanted: Sequence[str]) -> Mapping[str, Value]:
        """Tensors inside a body, running only the nodes they need and keeping nothing."""

    def skip(self, attribute: str, why: str) -> None:
        """Marks a body that never runs."""

    def repeat(self, label: str, fewest: Dim | None, most: Dim | None) -> None:
        """Says how often the body kept under a label runs in one run of the node (None: nothing bounds it)."""

    def forget(self, label: str) -> None:
        """Drops what was kept under a label."""


class Context:
    """What a rule may know beside its inputs: the node, the opset version of its domain, how to name an unknown dim,
    and how to run its bodies (no rule of cost does)."""

    __slots__ = ("node", "opset", "fresh", "bodies")

    def __init__(
        self,
        node: Node,
        opset: int,
        fresh: Callable[[str, int, Dim | None, str], Expr],
        bodies: Bodies,
    ) -> None:
        self.node = node
        self.opset = opset
        self.fresh = fresh
        self.bodies = bodies

    @property
    def n_outputs(self) -> int:
        """The number of outputs the node names."""
        return len(self.node.outputs)

    def data_dim(self, reason: str, low: int = 0, high: Dim | None = None) -> Expr:
        """A dim that the values fed decide, within `low`..`high`."""
        return self.fresh("data", low, high, reason)

    def unknown_dim(self, reason: str, low: int = 0, high: Dim | None = None) -> Expr:
        """A dim that this program cannot tell, within `low`..`high`."""
        return self.fresh("unknown", low, high, reason)


class Signature(msgspec.Struct, frozen=True):
    """What a rule takes, read once from its code object."""

    inputs: tuple[str, ...]
    required: int
    variadic: bool
    keywords: frozenset[str]
    wants_ctx: bool
    wants_out: bool
    wants_outs: bool
    types: Mapping[str, tuple[type, ...]] = {}  # of attributes; a tuple attribute's elements


class Rules(msgspec.Struct):
    """Everything known of one operator."""

    shape: Callable[..., Any] | None = None
    shape_takes: Signature | None = None
    partial: bool = False
    cost: Callable[..., Cost] | None = None
    cost_takes: Signature | None = None
    kind: str | Callable[..., str] = "other"
    view: bool = False
    overwrites: tuple[int, ...] = ()
    unpriced: str = ""
    roles: tuple[str, ...] = ()  # of constants, by input, where a definition states them; the last one repeats
    package: str = ""  # that registered them; "" for those of effaudit


_INTERNAL: Final = frozenset({"ctx", "out", "outs"})
# How rules annotate attributes -> what a file may give for them.
_NUMBER: Final = (float, int)
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": _NUMBER,
    "str": (str,),
    "Sequence[int]": (tuple, int),
    "Sequence[float]": (tuple, *_NUMBER),
    "Sequence[str]": (tuple, str),
    "tuple[int, ...]": (tuple, int),
    "tuple[float, ...]": (tuple, *_NUMBER),
    "tuple[str, ...]": (tuple, str),
}


class Registry:
    """Rules by (domain, operator), and the decorators that add to them."""

    __slots__ = ("rules",)

    def __init__(self) -> None:
        self.rules: dict[tuple[str, str], Rules] = {}

    def shape(self, *ops: str, domain: str = ONNX, partial: bool = False) -> Callable[[Rule], Rule]:
        """Registers a shape rule. `partial` rules can work on inputs whose rank is unknown."""

        def register(rule: Rule) -> Rule:
            for op in ops:
                rules = self._entry(domain, op)
                if rules.shape is not None:
                    raise ValueError(f"two shape rules for {domain or 'ai.onnx'}::{op}")
                rules.shape, rules.shape_takes, rules.partial = rule, signature(rule), partial
            return rule

        return register

    def cost(self, *ops: str, domain: str = ONNX, kind: str | Callable[..., str] = "other") -> Callable[[Rule], Rule]:
        """Registers a cost rule and the kind of the node: a word, or a function of the same arguments that returns
        one."""

        def register(rule: Rule) -> Rule:
            for op in ops:
                rules = self._entry(domain, op)
                if rules.cost is not None:
                    raise ValueError(f"two cost rules for {domain or 'ai.onnx'}::{op}")
                rules.cost, rules.cost_takes, rules.kind = rule, signature(rule), kind
            return rule

        return register

    def storage(self, *ops: str, domain: str = ONNX, view: bool = False, overwrites: Iterable[int] = ()) -> None:
        """Registers how outputs may share storage: `view` (output 0 is input 0's bytes) or `overwrites` (output 0 may
        take the place of one of these inputs when that input dies here and is exactly as large)."""
        for op in ops:
            rules = self._entry(domain, op)
            rules.view, rules.overwrites = view, tuple(overwrites)

    def unpriced(self, *ops: str, domain: str = ONNX, reason: str, kind: str = "other") -> None:
        """Registers operators that have no cost rule, with the reason; of a `kind` outside `MAC_KINDS`, only their
        `ops` are unknown."""
        for op in ops:
            rules = self._entry(domain, op)
            rules.unpriced, rules.kind = reason, kind

    def _entry(self, domain: str, op: str) -> Rules:
        return self.rules.setdefault((domain, op), Rules())


_BUILT_IN: Final = Registry()
_RULES: Final = _BUILT_IN.rules
shape, cost, storage, unpriced = _BUILT_IN.shape, _BUILT_IN.cost, _BUILT_IN.storage, _BUILT_IN.unpriced


def registered() -> Mapping[tuple[str, str], Rules]:
    """All rules, by (domain, operator)."""
    return _RULES


def rules_for(graph: Graph) -> Mapping[tuple[str, str], Rules]:
    """All rules, by (domain, operator); those defined for this graph go before others."""
    return {**_RULES, **graph.operators} if graph.operators else _RULES


# Most models get by with these; importing all families takes longer than auditing a ResNet-50.
_COMMON: Final = "conv elementwise movement matmul pooling normalization shaping indexing reduction quantize".split()
_BY_DOMAIN: Final = {MICROSOFT: "microsoft", NCHWC: "microsoft", "com.ms.internal.nhwc": "microsoft", ML: "ml"}


def find(domain: str, op: str) -> Rules | None:
    """The rules of an operator, or None; of an operator that no family has, those of installed packages.

    Raises UsageError where such a package cannot be used.
    """
    rules = find_built_in(domain, op)
    if rules is not None:
        return rules
    from effaudit.ops._packages import rules_of_packages  # looking for packages takes longer than most audits

    for key, found in rules_of_packages().items():
        _RULES.setdefault(key, found)
    return _RULES.get((domain, op))


def find_built_in(domain: str, op: str) -> Rules | None:
    """effaudit's own rules of an operator, or None; imports families, likely ones first, until one has it."""
    rules = _RULES.get((domain, op))
    if not _is_whole(rules):
        for module in _families(_BY_DOMAIN.get(domain, "")):
            importlib.import_module(module)
            rules = _RULES.get((domain, op))
            if _is_whole(rules):
                break
    return None if rules is not None and rules.package else rules


def _is_whole(rules: Rules | None) -> bool:
    """True where no family adds to them. Asked before families are listed, which reads their folder."""
    return rules is not None and (rules.shape is not None or bool(rules.unpriced))


def load_families() -> None:
    """Imports every operator family (idempotent)."""
    for module in _families(""):
        importlib.import_module(module)


@cache
def _listed() -> tuple[str, ...]:
    """The names of all families, as their folder has them; read once, for it takes milliseconds."""
    import effaudit.ops as package

    return tuple(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def _families(likely: str) -> Iterator[str]:
    """The modules of the families not yet imported: those named after `likely`, the common ones, the others."""
    names = _listed()
    named = [name for name in names if likely and name.startswith(likely)]
    for name in dict.fromkeys((*named, *_COMMON, *names)):
        module = f"effaudit.ops.{name}"
        if module not in sys.modules:
            yield module


def signature(rule: Callable[..., Any]) -> Signature:
    """The signature of a rule, from its code object (inspect is ten times slower and start-up pays it 400 times)."""
    code: CodeType = rule.__code__
    names = code.co_varnames
    positional = names[: code.co_argcount]
    keywords = names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    defaults = len(getattr(rule, "__defaults__", None) or ())
    stated = ((k, _written(rule.__annotations__.get(k, ""))) for k in keywords)
    return Signature(
        positional,
        len(positional) - defaults,
        bool(code.co_flags & 4),
        frozenset(keywords) - _INTERNAL,
        "ctx" in keywords,
        "out" in keywords,
        "outs" in keywords,
        {k: _TYPES[annotation] for k, annotation in stated if annotation in _TYPES},
    )


def _written(annotation: Any) -> str:
    """An annotation as its source has it, whether or not the module leaves annotations unevaluated."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if not isinstance(annotation, (str, type)):
        text = str(annotation).replace("collections.abc.", "").replace("typing.", "")
    return text.removesuffix(" | None")


__all__ = [
    "CONV_KINDS",
    "MICROSOFT",
    "ML",
    "NCHWC",
    "ONNX",
    "Context",
    "Cost",
    "Registry",
    "Rules",
    "Unpriced",
    "cost",
    "dims",
    "find",
    "find_built_in",
    "load_families",
    "numel",
    "registered",
    "rules_for",
    "shape",
    "storage",
    "unpriced",
]
