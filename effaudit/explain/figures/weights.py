"""Figures of what is stored: parameters, buffers, bytes at each width."""

from __future__ import annotations

from collections import Counter

from effaudit.audited import Audited
from effaudit.explain.figures._registry import Derivation, figure
from effaudit.ops._registry import rules_for
from effaudit.printable import printable
from effaudit.report import ModelReport
from effaudit.report import size as shape_text
from effaudit.views.sizes import KEPT_BITS, WIDTHS, is_matrix
from effaudit.weights import BUFFER, OTHER, PARAM, QUANTIZATION, UNUSED, Tensor

SHOWN = 6


@figure("params", "parameters", "elements", formula="sum of the elements of weights", labels=("params", "parameters"))
def params(audited: Audited, report: ModelReport) -> Derivation:
    """Elements of weights, biases, norm scales and shifts, and embeddings: each tensor once however often it is read.
    Running means and variances, scales, zero points, shapes and indices are none."""
    tensors = audited.weights.of(PARAM)
    return Derivation(audited.weights.params, _largest(tensors, audited.weights.params))


@figure("params_stored", "stored parameters", "elements", labels=("stored as",))
def params_stored(audited: Audited, report: ModelReport) -> Derivation:
    """Elements of the parameters as the file stores them: fewer than the logical ones where a byte holds several."""
    t = report.totals
    return Derivation(t.params_stored, (f"{t.params:,} logical elements are stored as {t.params_stored:,}",))


@figure("buffers", "buffers", "elements", labels=("buffers",))
def buffers(audited: Audited, report: ModelReport) -> Derivation:
    """Elements of running means and variances of batch norms: stored with the weights, learned by no gradient."""
    return Derivation(audited.weights.buffers, _largest(audited.weights.of(BUFFER), audited.weights.buffers))


@figure("constant_elements", "elements of all constants", "elements")
def constant_elements(audited: Audited, report: ModelReport) -> Derivation:
    """Every element of every initializer and Constant tensor, whatever it is for."""
    found: Counter[str] = Counter()
    for tensor in audited.weights.tensors:
        found[tensor.role] += tensor.constant.numel
    names = {
        PARAM: "parameters",
        BUFFER: "buffers",
        QUANTIZATION: "scales and zero points",
        OTHER: "others",
        UNUSED: "unused",
    }
    steps = [f"{found[role]:>16,}  {name}" for role, name in names.items() if role in found]
    return Derivation(
        audited.weights.constant_elements,
        (*steps, f"{'= ' + format(audited.weights.constant_elements, ','):>16}  in all"),
    )


@figure("weight_bytes", "bytes of weights", "bytes", labels=("weights",))
def weight_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """Stored bytes of parameters and buffers, and of the scales and zero points of quantized ones."""
    by = report.totals.weight_bytes_by
    parts = " + ".join(f"{size:,} {role}" for role, size in by.items())
    return Derivation(report.totals.weight_bytes, (f"{parts} = {report.totals.weight_bytes:,}",))


@figure("size", "size at each width", "bytes", formula="sum of elements x width / 8", labels=tuple(WIDTHS))
def size(audited: Audited, report: ModelReport) -> Derivation:
    """What the weights take at each width. At 32 and 16 bits all have that width; below, matrices, kernels and tables
    do, while vectors (biases, norms) and buffers keep 32 bits. The scales a scheme adds are not counted. MiB are
    2^20 bytes; figures in MB are 4.9 % larger."""
    rules = rules_for(audited.graph)
    matrices = sum(t.logical for t in audited.weights.of(PARAM) if is_matrix(t, rules))
    vectors = audited.weights.params + audited.weights.buffers - matrices
    steps = [f"{matrices:,} elements in matrices, {vectors:,} in vectors and buffers"]
    for name, bits in WIDTHS.items():
        kept = bits if bits >= 16 else KEPT_BITS
        steps.append(f"{name}: ({matrices:,} x {bits} + {vectors:,} x {kept}) / 8 = {report.sizes[name]:,} bytes")
    return Derivation(report.sizes, tuple(steps))


def _largest(tensors: tuple[Tensor, ...], total: int) -> tuple[str, ...]:
    ranked = sorted(tensors, key=lambda t: (-t.logical, t.constant.name))
    steps = [
        f"{t.logical:>16,}  {shape_text(t.constant.shape)}  {printable(t.constant.name, 44)}" for t in ranked[:SHOWN]
    ]
    rest = ranked[SHOWN:]
    if rest:
        steps.append(f"{sum(t.logical for t in rest):>16,}  in {len(rest):,} more tensors")
    return (*steps, f"{'= ' + format(total, ','):>16}  in all")
