"""`python -m benchmarks.latency`: every published latency against the estimate that did not see its board.

`--rows FILE` adds measurements in the same columns and reports those alone: each of their boards is held out in its
turn, like any other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.latency import edge, gpu, mcu
from benchmarks.latency.rows import ROWS, Row, read
from benchmarks.latency.score import Scored
from benchmarks.latency.table import page


def scores(rows: Sequence[Row]) -> list[Scored]:
    """Every row that can be estimated, by whom it belongs to; each once."""
    found: dict[Row, Scored] = {}
    for one in (*map(_by_core, mcu.scored(rows)), *gpu.scored(rows), *edge.scored(rows)):
        found.setdefault(one.row, one)
    return list(found.values())


def _by_core(one: Scored) -> Scored:
    core = mcu.core_of(one.row)
    name = "microcontroller" if core is None else core.profile.removeprefix("arm-")
    return msgspec.structs.replace(one, group=f"MCU, {name}")


def left_out(rows: Sequence[Row], found: Sequence[Scored]) -> list[tuple[Row, str]]:
    """The rows that are not scored, and why."""
    done = {one.row for one in found}
    return [(row, _why(row)) for row in rows if row not in done]


def _why(row: Row) -> str:
    if row.kind == "mcu":
        return mcu.skipped(row).partition(",")[0] or "not estimated"
    if row.kind == "fpga":
        return "an FPGA's own design"
    if row.accelerator and row.kind == "phone":
        return "runs on an accelerator"
    return "no profile of the board under this runtime, or no rate to fit"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--rows", type=Path, help="more measurements, in the columns of measured_latency.csv")
    parser.add_argument("--every", action="store_true", help="list every row")
    parser.add_argument("-o", "--output", type=Path, help="write the page here instead of standard output")
    options = parser.parse_args(arguments)
    known = read(ROWS) if ROWS.exists() else ()
    more = () if options.rows is None else read(options.rows)
    every = (*known, *(row for row in more if row not in set(known)))
    if not every:
        parser.error(f"there are no measurements: {ROWS} is not here; name a file with --rows")
    wanted = set(more) or set(every)
    found = [one for one in scores(every) if one.row in wanted]
    command = "python -m benchmarks.latency" + (" --rows FILE" if more else " -o docs/latency.md")
    out = left_out([row for row in every if row in wanted], found)
    text = page(found, out, command=command, every=options.every, misses=not more)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
