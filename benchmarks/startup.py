"""How long `--help` takes, and that the heavy packages stay out of it."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measure import Contender, environment, interleave, wall
from benchmarks.section import MEASURES, ROOT, Bench, Section, Target, process_row

LIMIT_S = 0.080
HEAVY = ("onnx", "numpy", "onnxruntime", "sympy")


def startup(bench: Bench) -> Section:
    report = ("report", bench.model("chain-100"))
    bare = Contender("python -c pass", (sys.executable, "-c", "pass"), ROOT)
    help_, small, empty = interleave(
        [
            bench.contender("effaudit --help", "--help"),
            bench.contender("effaudit report, 100 nodes", *report),
            bare,
        ],
        bench.repeats * 3,
    )
    met = not help_.failure and help_.of(wall).median < LIMIT_S
    rows = (
        process_row(help_, Target("wall < 80 ms", met)),
        process_row(small),
        process_row(empty),
        _imports_row(bench, "--help"),
        _imports_row(bench, *map(str, report)),
    )
    return Section("Start-up", (), ("", *MEASURES, "target", ""), rows)


def _imports_row(bench: Bench, *arguments: str) -> tuple[str, ...]:
    """Python's own list of what was imported (`-X importtime`, set through the environment)."""
    env = environment({"PYTHONPROFILEIMPORTTIME": "1"})
    done = subprocess.run([*bench.effaudit, *arguments], cwd=ROOT, env=env, capture_output=True, text=True)
    name = f"modules imported by {arguments[0]}"
    if done.returncode:
        return (name, f"exit code {done.returncode}", *[""] * 4)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    modules = {line.rpartition("|")[2].strip() for line in lines[1:]}
    heavy = sorted({m.partition(".")[0] for m in modules} & set(HEAVY))
    found = f"{len(modules)}, among them {', '.join(heavy) or 'none heavy'}"
    return (name, found, "", "", *Target(f"none of {', '.join(HEAVY)}", not heavy).cells())
