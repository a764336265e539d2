"""A definition of a file as the rules that shape inference, pricing and the roles of weights use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import ENCODINGS, Encoding, Shape, Value
from effaudit.operators.evaluation import Scope, given, shape_of
from effaudit.operators.formula import FormulaError, count, entry, shape
from effaudit.operators.schema import KINDS, Formula, OperatorSpec, OutputSpec
from effaudit.operators.signature import Inputs, inputs_of, with_outputs
from effaudit.ops._registry import MAC_KINDS, Context, Cost, Rules, Signature, Unpriced

_DTYPES: Final = {encoding.dtype: encoding for encoding in ENCODINGS.values()}
# A rule gets every input as it comes: definitions bind names themselves, for an attribute may have an input's name.
_TAKES: Final = Signature((), 0, True, frozenset(), wants_ctx=True, wants_out=False, wants_outs=False)
_TAKES_OUTPUTS: Final = Signature((), 0, True, frozenset(), wants_ctx=True, wants_out=False, wants_outs=True)

_Output = Callable[[Scope], Value]
_T = TypeVar("_T")


class Definition(Rules, kw_only=True):
    """The rules of one operator as a file defines them. `inputs`, `formulas` (figure -> text) and `source` are the
    file's words; `replace` says that it goes before a function of the model that has the same name."""

    inputs: tuple[str, ...]
    formulas: dict[str, str]
    source: str
    path: str
    replace: bool


def define(spec: OperatorSpec, built_in: Rules | None, path: str) -> Definition:
    """The rules of a definition; what it leaves out, a built-in operator that it replaces keeps.

    Raises ValueError, `.key: what is wrong`.
    """
    inputs = _at(".inputs", partial(inputs_of, spec.inputs))
    base = built_in or Rules(unpriced=f"{path} gives {spec.op} no macs and ops")
    kept = {field: getattr(base, field) for field in Rules.__struct_fields__}
    formulas = _formulas(spec)
    stated = {
        "roles": _roles(spec, inputs),
        **_shape_fields(spec, inputs),
        **_cost_fields(spec, inputs, formulas, base.kind),
    }
    return Definition(
        **(kept | stated),
        inputs=spec.inputs,
        formulas=formulas,
        source=spec.source,
        path=path,
        replace=spec.replace,
    )


def _formulas(spec: OperatorSpec) -> dict[str, str]:
    stated = {"macs": spec.macs, "ops": spec.ops, "reads": spec.reads, "writes": spec.writes}
    return {figure: str(text) for figure, text in stated.items() if text is not None}


def _roles(spec: OperatorSpec, inputs: Inputs) -> tuple[str, ...]:
    """The stated role of each input, "" where its elements decide."""
    names = (*inputs.names, *filter(None, (inputs.rest,)))
    for name in spec.roles:
        if name not in names:
            raise ValueError(f".roles: no input is named {name[:60]!r}; there are: {', '.join(names) or 'none'}")
    return tuple(spec.roles.get(name, "") for name in (*names, *(("",) if not inputs.rest else ())))


# ---- shapes
def _shape_fields(spec: OperatorSpec, inputs: Inputs) -> dict[str, Any]:
    """The fields of Rules that the stated outputs decide."""
    if not spec.outputs:
        return {}
    outputs = [_output(spec, i, inputs) for i in range(len(spec.outputs))]
    return {"shape": _shape_rule(inputs, outputs), "shape_takes": _TAKES, "partial": False}


def _output(spec: OperatorSpec, i: int, inputs: Inputs) -> _Output:
    out, key = spec.outputs[i], f".outputs[{i}]"
    if (out.shape is None) == (not out.like):
        raise ValueError(f"{key}: either shape or like is expected")
    if out.like and out.like not in inputs.names:
        raise ValueError(f"{key}.like: no input is named {out.like[:60]!r}; there are: {_listed(inputs)}")
    dtype = _dtype(out, key, inputs)
    if out.shape is None:
        like = out.like
        return lambda scope: Value(dtype(scope), shape_of(scope.tensors[like], like))
    dims_of = _dims(out.shape, f"{key}.shape", inputs)
    return lambda scope: Value(dtype(scope), dims_of(scope))


def _dims(stated: Formula | tuple[Formula, ...], key: str, inputs: Inputs) -> Callable[[Scope], Shape]:
    names = inputs.in_shapes
    if not isinstance(stated, tuple):
        return _at(key, partial(shape, stated, names))
    entries = [_at(f"{key}[{i}]", partial(entry, text, names)) for i, text in enumerate(stated)]
    return lambda scope: tuple(dim for dims_of in entries for dim in dims_of(scope))


def _dtype(out: OutputSpec, key: str, inputs: Inputs) -> Callable[[Scope], Encoding]:
    name = out.dtype or out.like or next(iter(inputs.names), "")
    if name in inputs.names:
        return lambda scope: given(scope.tensors[name], name).encoding
    encoding = _DTYPES.get(name)
    if encoding is None:
        what = (
            f"{name[:60]!r} is no input and no element type" if name else "an element type is needed: no input has one"
        )
        raise ValueError(f"{key}.dtype: {what}; inputs: {_listed(inputs)}; types: {', '.join(_DTYPES)}")
    return lambda scope: encoding


def _shape_rule(inputs: Inputs, outputs: list[_Output]) -> Callable[..., tuple[Value, ...]]:
    def rule(*values: Value | None, ctx: Context) -> tuple[Value, ...]:
        scope = inputs.bind(values, ctx.node.attrs)
        return tuple(output(scope) for output in outputs[: max(ctx.n_outputs, 1)])

    return rule


# ---- costs
def _cost_fields(
    spec: OperatorSpec, inputs: Inputs, formulas: dict[str, str], base_kind: str | Callable[..., str]
) -> dict[str, Any]:
    """The fields of Rules that the stated formulas of cost decide."""
    if spec.kind and spec.kind not in KINDS:
        raise ValueError(f".kind: {spec.kind[:60]!r} is none of {', '.join(sorted(KINDS))}")
    if not formulas:
        if spec.kind:
            raise ValueError(".kind: it goes with macs and ops, which are missing")
        return {}
    for one, other in (("macs", "ops"), ("ops", "macs")):
        if one not in formulas:
            there = other if other in formulas else next(iter(formulas))
            raise ValueError(f": {there} is given and {one} is not; write `{one}: 0` where it has none")
    kind = spec.kind or (base_kind if isinstance(base_kind, str) else "other")
    if kind not in MAC_KINDS and formulas["macs"].strip() != "0":
        raise ValueError(f".kind: {kind} has no MACs, but macs is no 0; kinds with MACs: {', '.join(_WITH_MACS)}")
    counts = {figure: _at(f".{figure}", partial(count, text, inputs.in_costs)) for figure, text in formulas.items()}
    rule = _cost_rule(inputs, counts, formulas)
    return {"cost": rule, "cost_takes": _TAKES_OUTPUTS, "kind": kind, "unpriced": ""}


_WITH_MACS: Final = sorted(MAC_KINDS & KINDS)


def _cost_rule(
    inputs: Inputs, counts: dict[str, Callable[[Scope], Dim]], formulas: dict[str, str]
) -> Callable[..., Cost]:
    def rule(*values: Value | None, ctx: Context, outs: tuple[Value | None, ...]) -> Cost:
        scope = with_outputs(inputs.bind(values, ctx.node.attrs), outs)
        return Cost(**{figure: _figure(figure, counts[figure], scope, formulas[figure]) for figure in counts})

    rule.__doc__ = "; ".join(f"{figure} = {text}" for figure, text in formulas.items())
    return rule


def _figure(figure: str, formula: Callable[[Scope], Dim], scope: Scope, text: str) -> Dim:
    """One figure of a node. Raises Unpriced where its formula gives none, or a negative one."""
    try:
        result = formula(scope)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise Unpriced(f"its formula of {figure} gives no number: {error}") from None
    if dims.upper(result) < 0:
        raise Unpriced(f"its formula of {figure} gives {dims.text(result)}, which is negative: {text[:80]}")
    return result


# ---- places in the file
def _at(key: str, make: Callable[[], _T]) -> _T:
    """What `make` returns; its ValueError with the key it is about before it."""
    try:
        return make()
    except FormulaError as error:
        raise ValueError(f"{key}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{key}{error}") from None


def _listed(inputs: Inputs) -> str:
    return ", ".join(inputs.names) or "none"
