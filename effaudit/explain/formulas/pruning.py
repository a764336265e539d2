"""Pruning: what remains, and the sparse formats that store it."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import bits, count, formula, positive, share, whole

_NM: Final = "https://arxiv.org/abs/2104.08378"
_CSR: Final = "https://docs.scipy.org/doc/scipy/reference/generated/scipy.sparse.csr_matrix.html"
_KEPT: Final = count("n", "values kept per group", "2")
_GROUP: Final = count("m", "values per group", "4")
_FEWER: Final = ("n <= m and m <= 2 ** 32", "no more values kept than there are")
_NNZ: Final = whole("nnz", "values that are not zero", "100000")
_ROWS: Final = count("rows", "rows", "1000")
_COLS: Final = count("cols", "columns", "1000")
_VALUE: Final = bits("value_bits", "bits per value", "fp32", "32")
_INDEX: Final = bits("index_bits", "bits per index", "int32", "32")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "density",
        "1 - sparsity",
        share("sparsity", "share of zeros", "70%"),
        unit="share",
        about="The share of weights that remain.",
    ),
    formula(
        "nonzeros",
        "round(params * (1 - sparsity))",
        count("params", "weights", "1M"),
        share("sparsity", "share of zeros", "70%"),
        unit="params",
        about="The weights that remain.",
    ),
    formula(
        "pruned-macs",
        "macs / factor",
        count("macs", "multiply-accumulates before", "30M"),
        positive("factor", "how many times fewer remain", "5"),
        unit="MACs",
        about="What remains after pruning by a factor.",
        mistakes=("Only structured pruning, or a kernel for sparse weights, makes a device skip them.",),
    ),
    formula(
        "nm-sparsity",
        "1 - n / m",
        _KEPT,
        _GROUP,
        requires=(_FEWER,),
        unit="share",
        about="The share of zeros where n of every m values are kept.",
        source=_NM,
    ),
    formula(
        "nm-index-bits",
        "n * ceil(log2(m))",
        _KEPT,
        _GROUP,
        requires=(_FEWER,),
        unit="bits",
        about="Each kept value of a group stores its place among the m.",
        mistakes=("2:4 stores 2 bits per kept value, so 4 per group, not 2.",),
        source=_NM,
    ),
    formula(
        "nm-size-ratio",
        "(n * bits + n * ceil(log2(m))) / (m * bits)",
        _KEPT,
        _GROUP,
        bits("bits", "bits per value", "fp16"),
        requires=(_FEWER,),
        unit="share",
        about="Stored size over dense size, indices included: 56.25 % for 2:4 in fp16, 62.5 % in int8.",
        source=_NM,
    ),
    formula(
        "csr-bytes",
        "values + columns + pointers",
        _NNZ,
        _ROWS,
        _VALUE,
        _INDEX,
        where=(
            ("values", "ceil(nnz * value_bits / 8)"),
            ("columns", "ceil(nnz * index_bits / 8)"),
            ("pointers", "ceil((rows + 1) * index_bits / 8)"),
        ),
        unit="bytes",
        about="Compressed sparse rows: values, their columns, and where each row starts.",
        mistakes=("The rows + 1 row pointers are often forgotten.",),
        source=_CSR,
    ),
    formula(
        "sparse-payload-bytes",
        "ceil(nnz * (value_bits + index_bits) / 8)",
        _NNZ,
        _VALUE,
        _INDEX,
        unit="bytes",
        about="Values and one index each, as in CSR without its row pointers.",
        mistakes=("Less than CSR takes: see csr-bytes.",),
    ),
    formula(
        "coo-bytes",
        "ceil(nnz * (value_bits + axes * index_bits) / 8)",
        _NNZ,
        _VALUE,
        _INDEX,
        count("axes", "axes of the tensor", "2", "2"),
        unit="bytes",
        about="Coordinates: a value and one index per axis.",
        source="https://docs.scipy.org/doc/scipy/reference/generated/scipy.sparse.coo_matrix.html",
    ),
    formula(
        "sparse-payload-break-even",
        "1 - value_bits / (value_bits + index_bits)",
        _VALUE,
        _INDEX,
        unit="share",
        about="The sparsity at which values with an index each are as large as the dense matrix.",
        mistakes=("For int8 values with int32 indices it is 80 %, not 50 %.",),
    ),
    formula(
        "csr-break-even",
        "1 - (rows * cols * value_bits - (rows + 1) * index_bits) / (rows * cols * (value_bits + index_bits))",
        _ROWS,
        _COLS,
        _VALUE,
        _INDEX,
        unit="share",
        about="The sparsity at which CSR, row pointers included, is as large as the dense matrix.",
        source=_CSR,
    ),
)
