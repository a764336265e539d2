"""What one sliding layer needs at once when it runs row by row, and what im2col would copy.

A layer that makes `rows` output rows at a time keeps, of its input, the (rows - 1) * stride + (kernel - 1) * dilation
+ 1 rows their windows span, all channels and the whole width; its full map need not exist. im2col writes out every
window: kernel positions x input channels values for each output position
(Chellapilla et al. 2006, "unrolled convolution", https://hal.inria.fr/inria-00112631).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

import msgspec

from effaudit.errors import UsageError
from effaudit.graph import Graph, Node, Value
from effaudit.ops._call import INVALID
from effaudit.ops._registry import MICROSOFT
from effaudit.plan.patches.rules import numbers, windows
from effaudit.plan.patches.spans import Blocked

# Where the data and the weights of a sliding operator are (None: it has no weights).
PLACES: Final[Mapping[tuple[str, str], tuple[int, int | None]]] = {
    ("", "Conv"): (0, 1),
    ("", "ConvInteger"): (0, 1),
    ("", "QLinearConv"): (0, 3),
    (MICROSOFT, "FusedConv"): (0, 1),
    **{("", op): (0, None) for op in ("MaxPool", "AveragePool", "LpPool")},
}


class LineBuffer(msgspec.Struct, frozen=True):
    """The working set of a layer that makes `rows` output rows at a time.

    `input_rows` is the most of its input kept at once; `input_bytes` and `output_bytes` are those of these rows,
    `whole_bytes` those of the whole input and output. `im2col_elements` is the size of the matrix that im2col makes of
    the whole layer, `im2col_row_elements` of one output row and `im2col_pixel_elements` of one output position, in
    elements of the input's type of `im2col_element_bits` bits. A layer of one spatial axis has rows of one position.
    """

    rows: int
    input_rows: int
    input_bytes: int
    output_bytes: int
    whole_bytes: int
    im2col_elements: int
    im2col_row_elements: int
    im2col_pixel_elements: int
    im2col_element_bits: int

    @property
    def bytes(self) -> int:
        """Input and output rows that exist at once."""
        return self.input_bytes + self.output_bytes


def line_buffer(graph: Graph, node: Node, rows: int = 1) -> LineBuffer:
    """The working set of a convolution or pooling layer of a graph whose shapes are numbers, `rows` output rows at a
    time (all of them, where it has fewer).

    Raises UsageError where the node is no such layer, its sizes are not known, or `rows` is below 1.
    """
    places = PLACES.get((node.domain, node.op))
    if places is None or rows < 1:
        what = f"{rows} rows" if places is not None else f"a {node.op}"
        raise UsageError(f"line buffer of {node.label}: a convolution or pooling layer and 1 row or more, not {what}")
    try:
        return _made(node, graph.values, rows, *places)
    except (Blocked, *INVALID) as why:
        raise UsageError(f"line buffer of {node.label}: {str(why)[:160]}; give every dim a number") from None


def _made(node: Node, values: Mapping[str, Value], rows: int, data: int, weights: int | None) -> LineBuffer:
    made, kernel = windows(node, values, data, weights)
    shape, out = numbers(node.inputs[data], values), numbers(node.outputs[0], values)
    rows = min(rows, out[2])
    kept = min((rows - 1) * made[0].stride + made[0].extent, shape[2])
    source, target = values[node.inputs[data]].encoding, values[node.outputs[0]].encoding
    if 0 in (source.bits, target.bits):
        raise Blocked("its elements have no fixed size")
    pixel = prod(kernel) * shape[1]
    row = pixel * prod(out[3:]) * shape[0]
    return LineBuffer(
        rows=rows,
        input_rows=kept,
        input_bytes=source.nbytes(prod(shape) // shape[2] * kept),  # type: ignore[arg-type]
        output_bytes=target.nbytes(prod(out) // out[2] * rows),  # type: ignore[arg-type]
        whole_bytes=source.nbytes(prod(shape)) + target.nbytes(prod(out)),  # type: ignore[arg-type]
        im2col_elements=row * out[2],
        im2col_row_elements=row,
        im2col_pixel_elements=pixel,
        im2col_element_bits=source.bits,
    )
