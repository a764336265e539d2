"""`effaudit devices calibrate`: what it is asked, what it writes, what it says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from typing import Any

import click

from effaudit import strict_yaml
from effaudit.calibrate.host import calibrate, networks
from effaudit.calibrate.profile import SOURCE, document
from effaudit.calibrate.text import text
from effaudit.cli.options import count
from effaudit.cli.output import STDOUT, emit
from effaudit.cli.progress import progress
from effaudit.device.validate import NAME
from effaudit.errors import UsageError
from effaudit.printable import printable
from effaudit.run.host import host


def calibrated(threads: Sequence[str], name: str, output: str) -> int:
    """Raises UsageError, RunError."""
    if not NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: expected lower-case letters, digits, - and . (such as build-server)")
    _own(output)
    wanted = _threads(threads)
    with progress("calibrating", networks() * len(wanted)) as tell:
        found = calibrate(wanted, tell)
    made = document(found, name, date.today())
    emit([text(made)], output)
    if output not in STDOUT:
        for line in _said(made, output):
            click.echo(f"effaudit: {line}", err=True)
    return 0


def _own(output: str) -> None:
    """Raises UsageError for a file that no calibration wrote: it would be lost."""
    if output in STDOUT or not os.path.isfile(output):
        return
    try:
        known = strict_yaml.read(output)
    except UsageError:
        known = None
    sources = known.get("sources") if isinstance(known, dict) else None
    if not isinstance(sources, dict) or SOURCE not in sources:
        raise UsageError(f"{output}: is there already, and no calibration wrote it; name another file with -o")


def _threads(given: Sequence[str]) -> tuple[int, ...]:
    if not given:
        cores = host().cores or 1
        return tuple(dict.fromkeys((1, cores)))
    most = os.cpu_count() or 1
    found = []
    for one in given:
        number = count(one, "--threads") or 1
        if number > most:
            raise UsageError(f"--threads {number}: this machine runs {most} at a time")
        found.append(number)
    return tuple(dict.fromkeys(found))


def _said(made: dict[str, Any], output: str) -> list[str]:
    """What a person should know of the new profile."""
    place = printable(output, None)
    lines = [f"saved {place}: effaudit time MODEL --predict --device {place} holds a run against it"]
    for runtime in made["runtimes"]:
        own = [entry for entry in made["performance"] if entry["runtime"] == runtime["name"]]
        error = own[0].get("prediction_error")
        kinds = sum(len(entry["costs"]) for entry in own)
        held = (
            ""
            if error is None
            else (
                f"; of {error['rows_count']} networks left out, half are estimated within {error['median_ratio']:.0%}"
            )
        )
        lines.append(f"{runtime['title']}: {kinds} kinds of kernels{held}")
    return [*lines, *made["notes"]]
