"""The C header: what a compiler reads in it is the plan."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.errors import UsageError
from effaudit.plan.emit.c import emit_c
from effaudit.plan.lifetimes import Lifetime
from effaudit.plan.problem import Buffer, Plan, Problem

GCC = shutil.which("gcc")
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")


def plan_of(*names: str) -> Plan:
    """Buffers of 16 bytes one after the other."""
    buffers = tuple(Buffer(name, 0, 1, 16) for name in names)
    return Plan(Problem(buffers, 16), tuple(16 * i for i in range(len(names))), "by hand", 16 * len(names))


HOSTILE = (
    *("conv/out", "conv.out", "conv_out_2", "CONV-OUT", "7", "", "é", "/*", "*/", "*/ int x; /*", "/*/"),
    *("a\nb", "??/", "\\", "// x", "int", 'quote"', "%d", "\u202e"),
)


def constants(header: str, prefix: str) -> dict[str, int]:
    return {n: int(v) for n, v in re.findall(rf"^#define {prefix}_(\w+) (\d+)\b", header, re.MULTILINE)}


def test_the_whole_header() -> None:
    buffers = (Buffer("input", 0, 1, 64), Buffer("conv1/out", 0, 2, 32))
    header = emit_c(Plan(Problem(buffers, 16), (0, 64), "best", 96), "my-net")
    assert (
        header
        == """\
/* Memory plan of my-net, by effaudit (planner best; no plan is smaller).
   A tensor may share bytes with others while it is not alive: in the steps [start, end) it is. */
#ifndef MY_NET_PLAN_H
#define MY_NET_PLAN_H

#define MY_NET_ARENA_BYTES 96
#define MY_NET_ARENA_ALIGN 16
#define MY_NET_BUFFERS 2

#define MY_NET_OFFSET_INPUT 0 /* input: 64 bytes, steps [0, 1) */
#define MY_NET_OFFSET_CONV1_OUT 64 /* conv1/out: 32 bytes, steps [0, 2) */

/* static const size_t offsets[] = MY_NET_OFFSETS; */
#define MY_NET_OFFSETS { \\
    0, \\
    64 }

#endif /* MY_NET_PLAN_H */
"""
    )


def test_a_gap_is_said() -> None:
    plan = Plan(Problem((Buffer("x", 0, 1, 16),), 16), (16,), "tflm", 16)
    assert "(planner tflm; no plan is smaller than 16)" in emit_c(plan)


def test_tensors_that_share_a_storage_have_constants_of_their_own() -> None:
    header = emit_c(plan_of("x", "y"), storages=[Lifetime("y", 0, 1, 16, others=("z", "w"))])
    assert "#define PLAN_OFFSET_W 16 /* w: lies in y */" in header
    found = constants(header, "PLAN")
    assert (found["OFFSET_X"], found["OFFSET_Y"], found["OFFSET_Z"], found["BUFFERS"]) == (0, 16, 16, 2)


@pytest.mark.parametrize(
    ("name", "prefix"), [("vww-int8", "VWW_INT8"), ("2stage", "PLAN_2STAGE"), ("", "PLAN"), ("__x", "X"), ("/", "PLAN")]
)
def test_the_prefix_is_an_identifier_that_is_not_reserved(name: str, prefix: str) -> None:
    assert f"#define {prefix}_ARENA_BYTES 16\n" in emit_c(plan_of("x"), name)


@given(st.lists(st.text(max_size=6), max_size=12))
def test_every_buffer_has_a_constant_of_its_own_that_is_its_offset(names: list[str]) -> None:
    plan = plan_of(*names)
    header = emit_c(plan)
    offsets = {n: v for n, v in constants(header, "PLAN").items() if n.startswith("OFFSET_")}
    assert list(offsets.values()) == list(plan.offsets)
    assert header.isascii()


def test_larger_than_a_constant_of_c() -> None:
    plan = Plan(Problem((Buffer("x", 0, 1, 2**63),), 1), (0,), "by hand", 2**63)
    with pytest.raises(UsageError, match="larger than a constant of C"):
        emit_c(plan)


MAIN = """\
#include <stddef.h>
#include <stdio.h>
#include "plan.h"
#include "plan.h"

static unsigned char arena[NET_ARENA_BYTES];
static const size_t offsets[] = NET_OFFSETS;

int main(void) {
    size_t i;
    for (i = 0; i < NET_BUFFERS; i++) {
        printf("%lu ", (unsigned long)(&arena[offsets[i]] - arena));
    }
    printf("%lu\\n", (unsigned long)(sizeof arena));
    return 0;
}
"""


@needs_gcc
def test_a_c99_compiler_reads_the_plan(tmp_path: Path) -> None:
    plan = plan_of(*HOSTILE)
    (tmp_path / "plan.h").write_text(emit_c(plan, "net"), encoding="ascii")
    (tmp_path / "main.c").write_text(MAIN)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([GCC, *flags, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    assert [int(number) for number in said.split()] == [*plan.offsets, plan.arena]


@needs_gcc
def test_a_plan_of_nothing_compiles(tmp_path: Path) -> None:
    (tmp_path / "plan.h").write_text(emit_c(plan_of()), encoding="ascii")
    code = '#include <stddef.h>\n#include "plan.h"\nconst size_t o[] = PLAN_OFFSETS;\nint n = PLAN_ARENA_BYTES;\n'
    (tmp_path / "main.c").write_text(code)
    subprocess.run([GCC, "-std=c99", "-Wall", "-Werror", "-pedantic", "-c", "main.c"], cwd=tmp_path, check=True)
