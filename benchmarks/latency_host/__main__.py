"""`python -m benchmarks.latency_host -o docs/prediction.md`: predictions, medians and verdicts of real networks.

The networks are written into a folder on demand and kept there (6 GB for all). Sections: `prediction` calibrates and
holds every network's prediction against its time, and the estimate from the file alone beside both; `p50` holds the
medians against a script of its own; `vs` tries the verdicts of two models. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.latency_host import agreement, alone, page, prediction, turns
from benchmarks.latency_host.command import Machine
from benchmarks.latency_host.networks import Network, build, networks

SECTIONS: Final = {
    "prediction": "Predicted against measured",
    "p50": "The median against an independent script",
    "vs": "Two models in turns",
}


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    chosen = [one for name, one in networks().items() if re.search(options.match, name)]
    if not chosen:
        raise SystemExit(f"no network matches {options.match!r}; python -m benchmarks.latency_host.networks lists them")
    folder = options.networks or Path(tempfile.gettempdir()) / "effaudit-networks"
    machine = Machine(
        effaudit=tuple(shlex.split(options.effaudit)),
        folder=folder.resolve(),
        threads=tuple(int(count) for count in options.threads.split(",")),
        documents=options.documents and options.documents.resolve(),
    )
    for network in chosen:
        build(network, machine.folder)
    host = machine.time(build(chosen[0], machine.folder), 1, "--runs", "1", "--no-profile", "--no-plain")["host"]
    made = {}
    for name in options.only.split(",") if options.only else SECTIONS:
        command = shlex.join(["python", "-m", "benchmarks.latency_host", *_said(arguments)])
        lines = list(_lines(name, machine, chosen, options))
        made[SECTIONS[name]] = page.section(SECTIONS[name], command, host, lines)
    before = options.output.read_text(encoding="utf-8") if options.output and options.output.exists() else ""
    text = page.joined(before, made)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def _lines(name: str, machine: Machine, chosen: Sequence[Network], options: argparse.Namespace) -> Iterable[str]:
    match name:
        case "prediction":
            measured = prediction.measure(machine, chosen, options.device and options.device.resolve())
            images = options.output and options.output.parent / "images"
            profile = options.device and options.device.resolve()
            beside = alone.measure(
                machine, measured.scores, profile or (machine.documents or machine.folder) / "host.yaml"
            )
            return [*prediction.section(measured, images, options.output), *alone.section(beside)]
        case "p50":
            return agreement.section(*agreement.measure(machine, chosen))
        case "vs":
            return turns.section(*turns.measure(machine, chosen))
    raise SystemExit(f"--only: {name} is none of {', '.join(SECTIONS)}")


def _said(arguments: Sequence[str]) -> list[str]:
    """The command without where this machine keeps things."""
    said, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("--networks", "--documents", "--effaudit"):
            skip = True
        elif argument.partition("=")[0] not in ("--networks", "--documents", "--effaudit"):
            said.append(argument)
    return said


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency_host", description=__doc__)
    parser.add_argument("--only", default="", help=f"sections, of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (default 1,2)")
    parser.add_argument("--networks", type=Path, help="where the networks are kept (default: a temporary folder)")
    parser.add_argument("--match", default="", help="only networks whose name this regular expression finds")
    parser.add_argument("--device", type=Path, help="a profile that is there, instead of a fresh calibration")
    parser.add_argument(
        "--documents", type=Path, help="keep what is measured here, and take what is here: go on where a run ended"
    )
    parser.add_argument("--effaudit", default=shlex.join([sys.executable, "-m", "effaudit"]), help="the command")
    parser.add_argument("-o", "--output", type=Path, help="write the page here; its other sections stay")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
