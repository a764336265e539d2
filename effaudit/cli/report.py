"""`effaudit report`: what each network costs."""

from __future__ import annotations

import click

from effaudit.cli.messages import complain
from effaudit.cli.options import given, models
from effaudit.cli.output import emit
from effaudit.errors import EffauditError, UsageError

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
) -> int:
    """What each MODEL costs: a file, sample:NAME, or - for standard input.

    Example: effaudit report sample:ic --nodes
    """
    wanted = _formats(formats, as_json, output)
    sizes = given(dim, shape)
    names = models(model)
    from effaudit.render import render
    from effaudit.report import ModelReport, audit, report

    audited: list[ModelReport] = []
    code = 0
    for name in names:
        try:
            audited.append(audit(name, sizes))
        except EffauditError as error:
            if len(names) == 1:
                raise
            complain(str(error))
            code = max(code, error.exit_code)
    document = report(audited)
    for form, path in wanted:
        emit(render(form, document, nodes), path)
    return code


def _formats(formats: tuple[str, ...], as_json: bool, output: str | None) -> list[tuple[str, str | None]]:
    """(format, path) pairs; `-o` is the path of the one format that names none."""
    items = [f for option in formats for f in option.split(",")] + (["json"] if as_json else [])
    wanted: list[tuple[str, str | None]] = []
    for item in items or ["text"]:
        form, _, path = item.partition("=")
        if form not in FORMATS:
            raise UsageError(f"--format {form!r}: expected one of {', '.join(FORMATS)}")
        wanted.append((form, path or output))
    if output and items and all("=" in item for item in items):
        raise UsageError("-o and a path for every format: which one is meant?")
    if len({path for _, path in wanted}) < len(wanted):
        raise UsageError("several formats need a path each, such as -f json=report.json")
    return wanted
