"""The options of `effaudit memory` as what is asked of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import msgspec

from effaudit.cli.options import count
from effaudit.errors import UsageError
from effaudit.memory.asked import Asked, Cache, Stage
from effaudit.runtimes import DEFAULT, find
from effaudit.units import parse_count


def asked(runtimes: Sequence[str], **options: Any) -> tuple[Asked, ...]:
    """One for each runtime. Raises UsageError."""
    cache = Cache(
        context=count(options["context"], "--context"),
        batch=count(options["batch_size"], "--batch-size"),
        dtype=options["kv_dtype"],
        window=count(options["kv_window"], "--kv-window"),
    )
    one = Asked(
        planner=options["planner"],
        align=_align(options["align"]),
        effort=options["effort"],
        pin_inputs=options["pin_inputs"],
        quantize=options["quantize"],
        reorder=options["reorder"],
        patch=None if options["patch"] is None else patch_of(options["patch"]),
        cache=cache,
        training=None if options["training"] is None else _fraction(options["training"]),
        seconds=options["seconds"],
        kernels=count(options["kernels"], "--kernels (a model comes before it)"),
    )
    return tuple(msgspec.structs.replace(one, runtime=find(name).name) for name in runtimes or (DEFAULT,))


def _align(text: str | None) -> int | None:
    """A power of two up to 4 KiB."""
    if text is None:
        return None
    align = parse_count(text.removesuffix("B"), "--align")
    if align not in {2**power for power in range(13)}:
        raise UsageError(f"--align: {text}: expected a power of two from 1 to 4096")
    return align


def _fraction(text: str) -> Fraction:
    """ "1", "0.25", "1/4" or "25%"."""
    try:
        found = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if not 0 < found <= 1 or found.denominator > MAX_PARTS:
        raise UsageError(f"--training {text!r}: expected a fraction up to 1, such as 1/4 (a model comes before it)")
    return found


MAX_PARTS: Final = 1_000_000


def patch_of(text: str) -> Stage | str:
    """ "auto", or TENSOR:ROWSxCOLUMNS."""
    if text == "auto":
        return text
    tensor, sign, grid = text.rpartition(":")
    rows, times, columns = grid.partition("x")
    if not sign or not tensor or not times or not rows.isdecimal() or not columns.isdecimal():
        raise UsageError(f"--patch {text!r}: expected auto, or TENSOR:ROWSxCOLUMNS such as conv4:4x4")
    return Stage(tensor, (count(rows, "--patch") or 1, count(columns, "--patch") or 1))
