"""`python -m benchmarks.run SECTION...`: a Markdown page of measured figures beside their targets."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.decoder7b import decoder7b
from benchmarks.host import host
from benchmarks.minimalloc import minimalloc
from benchmarks.node_order import node_order
from benchmarks.ort_memory import ort_memory
from benchmarks.per_node import per_node
from benchmarks.remote import remote
from benchmarks.resnet50_peers import resnet50
from benchmarks.section import Bench, Section
from benchmarks.startup import startup
from benchmarks.tflm import tflm

SECTIONS: dict[str, Callable[[Bench], Section]] = {
    "startup": startup,
    "decoder7b": decoder7b,
    "resnet50": resnet50,
    "per-node": per_node,
    "remote": remote,
    "minimalloc": minimalloc,
    "tflm": tflm,
    "ort-memory": ort_memory,
    "node-order": node_order,
}
SIZES = (100, 1_000, 10_000, 100_000, 200_000)


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    names = list(SECTIONS) if "all" in options.sections else list(dict.fromkeys(options.sections))
    with tempfile.TemporaryDirectory(prefix="effaudit-benchmarks-") as scratch:
        bench = Bench(
            effaudit=tuple(shlex.split(options.effaudit)),
            models=Path(scratch) / "models",
            envs=(options.envs or Path(scratch) / "envs").resolve(),
            repeats=options.repeats,
            sizes=tuple(options.sizes),
        )
        header = _header(arguments)
        page = "\n\n".join([header, *(_announced(name, bench).markdown() for name in names)]) + "\n"
    if options.output:
        options.output.write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument(
        "sections",
        nargs="+",
        choices=[*SECTIONS, "all"],
        metavar="SECTION",
        help=", ".join([*SECTIONS, "all"]),
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=7,
        help="measured rounds (default 7; start-up takes three times as many)",
    )
    parser.add_argument(
        "--envs",
        type=Path,
        help="where the peers' environments are made and kept (default: a temporary folder)",
    )
    parser.add_argument(
        "--sizes",
        type=_sizes,
        default=SIZES,
        help="nodes of the chains (default 100,1000,10000,100000,200000)",
    )
    parser.add_argument(
        "--effaudit", default=shlex.join([sys.executable, "-m", "effaudit"]), help="the command to measure"
    )
    parser.add_argument("-o", "--output", type=Path, help="write the page to a file instead of stdout")
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _header(arguments: list[str]) -> str:
    made = shlex.join(["python", "-m", "benchmarks.run", *arguments])
    facts = [
        *host().lines(),
        "median (min-max) of the rounds; contenders take turns in every round; MB = 10^6 bytes",
    ]
    return "\n".join(["# Benchmarks", "", "```", made, "```", *(f"- {fact}" for fact in facts)])


def _announced(name: str, bench: Bench) -> Section:
    print(f"{name} ...", file=sys.stderr)
    return SECTIONS[name](bench)


if __name__ == "__main__":
    main(sys.argv[1:])
