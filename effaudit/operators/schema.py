"""The file of operators as it is written: `effaudit.operators/1`."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from effaudit.ops._registry import MAC_KINDS

SCHEMA: Final = "effaudit.operators/1"

Formula: TypeAlias = str | int
Role: TypeAlias = Literal["param", "buffer", "quantization", "other"]

# Kinds a definition may have; those outside `MAC_KINDS` have no MACs. `control` and `function` have bodies.
KINDS: Final = (MAC_KINDS - {"control", "function"}) | frozenset(
    """activation constant elementwise embedding linalg loss movement norm pooling quantize random reduction resize
    shape signal softmax text tree""".split()
)


class OutputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output: its dims (a formula, or a list of one formula per dim) or `like` an input, and its element type (an
    input's name or a type; that of the input it is like, else of the first input)."""

    shape: Formula | tuple[Formula, ...] | None = None
    like: str = ""
    dtype: str = ""


class OperatorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One operator. `inputs` are names for the formulas, `b?` optional, `xs*` any number at the end. `reads` and
    `writes` are in bytes. `roles` says what constants at an input are, where that is not `param`."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[OutputSpec, ...] = ()
    macs: Formula | None = None
    ops: Formula | None = None
    reads: Formula | None = None
    writes: Formula | None = None
    kind: str = ""
    source: str = ""
    roles: dict[str, Role] = {}
    replace: bool = False


class FileSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    schema: str
    operators: tuple[OperatorSpec, ...]
