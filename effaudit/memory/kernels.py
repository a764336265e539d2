"""The working sets of sliding layers: run row by row, and as im2col would write them out."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from effaudit.errors import UsageError
from effaudit.graph import Encoding
from effaudit.memory.planned import Planned
from effaudit.plan.arena import running
from effaudit.plan.linebuffer import PLACES, LineBuffer, line_buffer


class KernelReport(msgspec.Struct, frozen=True):
    """A convolution or pooling layer, in bytes. Making `rows` output rows at a time, it keeps `input_rows` of its
    input: `rows_bytes` are these and the rows made, `whole_bytes` the whole input and output. im2col writes out
    `im2col_bytes` for the whole layer, `im2col_row_bytes` for one output row, `im2col_pixel_bytes` for one position.
    None is unknown, `why` says why."""

    node: str
    op: str
    rows: int
    input_rows: int | None
    rows_bytes: int | None
    whole_bytes: int | None
    im2col_bytes: int | None
    im2col_row_bytes: int | None
    im2col_pixel_bytes: int | None
    why: str | None = None


def kernels(made: Planned, rows: int) -> tuple[KernelReport, ...]:
    """Every sliding layer that runs, in order."""
    return tuple(_kernels(made, rows))


def _kernels(made: Planned, rows: int) -> Iterator[KernelReport]:
    for node in running(made.graph, made.flow):
        if (node.domain, node.op) in PLACES:
            try:
                found = line_buffer(made.graph, node, rows)
            except UsageError as doubt:
                yield KernelReport(node.label, node.op, rows, None, None, None, None, None, None, str(doubt))
            else:
                yield _report(node.label, node.op, found)


def _report(label: str, op: str, found: LineBuffer) -> KernelReport:
    element = Encoding("", found.im2col_element_bits)

    def size(elements: int) -> int:
        made = element.nbytes(elements)
        assert isinstance(made, int)
        return made

    return KernelReport(
        node=label,
        op=op,
        rows=found.rows,
        input_rows=found.input_rows,
        rows_bytes=found.bytes,
        whole_bytes=found.whole_bytes,
        im2col_bytes=size(found.im2col_elements),
        im2col_row_bytes=size(found.im2col_row_elements),
        im2col_pixel_bytes=size(found.im2col_pixel_elements),
    )
