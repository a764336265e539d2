"""`effaudit report`: what each network costs."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from effaudit.cli.options import given, models
from effaudit.errors import UsageError

FORMATS = ("text", "json", "csv")


@click.command("report")
@click.argument("model", nargs=-1)
@click.option("--dim", multiple=True, metavar="NAME=N", help="Bind a named dim. Repeatable.")
@click.option("--shape", multiple=True, metavar="[INPUT=]1x3x224x224", help="Bind the shape of an input. Repeatable.")
@click.option("--nodes", is_flag=True, help="List every node.")
@click.option("-f", "--format", "formats", multiple=True, metavar="FMT[=PATH]", help="text (default), json or csv.")
@click.option("--json", "as_json", is_flag=True, help="The same as -f json.")
@click.option("-o", "--output", metavar="PATH", help="Write the document to PATH instead of standard output.")
def command(
    model: tuple[str, ...],
    dim: tuple[str, ...],
    shape: tuple[str, ...],
    nodes: bool,
    formats: tuple[str, ...],
    as_json: bool,
    output: str | None,
) -> None:
    """What each MODEL costs: a file, sample:NAME, or - for standard input.

    Example: effaudit report sample:ic --nodes
    """
    wanted = _formats(formats, as_json, output)
    sizes = given(dim, shape)
    names = models(model)
    from effaudit.render import render
    from effaudit.report import audit, report

    document = report([audit(name, sizes) for name in names])
    for form, path in wanted:
        pieces = render(form, document, nodes)
        if path in (None, "-"):
            sys.stdout.writelines(pieces)
        else:
            _write(str(path), pieces)


def _formats(formats: tuple[str, ...], as_json: bool, output: str | None) -> list[tuple[str, str | None]]:
    """(format, path) pairs; `-o` is the path of the one format that names none."""
    items = [f for option in formats for f in option.split(",")] + (["json"] if as_json else [])
    wanted: list[tuple[str, str | None]] = []
    for item in items or ["text"]:
        form, _, path = item.partition("=")
        if form not in FORMATS:
            raise UsageError(f"--format {form!r}: expected one of {', '.join(FORMATS)}")
        wanted.append((form, path or output))
    if len({path for _, path in wanted}) < len(wanted):
        raise UsageError("several formats need a path each, such as -f json=report.json")
    return wanted


def _write(path: str, pieces: Iterable[str]) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(pieces)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
