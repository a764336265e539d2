"""`effaudit memory`: what a network needs while it runs, planned, named and proven."""

from __future__ import annotations

from typing import Any

import click

from effaudit.cli.audits import each
from effaudit.cli.options import definitions, document_options, formats, given, items, model_options, models, width
from effaudit.cli.output import check, emit
from effaudit.errors import UsageError
from effaudit.load.binding import Given
from effaudit.printable import printable

# Written out: these are needed before anything of the program is loaded.
FORMATS = ("text", "json", "csv", "markdown", "svg")
EFFORTS = ("low", "normal", "high")
PLANS = ("tflm", "c")
# list -> the option that asks for it
LISTS = {"totals": "totals", "figures": "every", "timeline": "timeline", "buffers": "buffers", "kernels": "kernels"}


@click.command("memory")
@click.argument("model", nargs=-1)
@model_options
@click.option(
    "--runtime", multiple=True, metavar="NAME", help="As this runtime executes it; --runtime list names them."
)
@click.option("--planner", metavar="NAME", help="Another planner of offsets than the runtime's; best: the best found.")
@click.option("--align", metavar="BYTES", help="Offsets and sizes in multiples of BYTES.")
@click.option("--effort", type=click.Choice(EFFORTS), default="normal", help="How far the searches go.")
@click.option("--pin-inputs", is_flag=True, help="The inputs stay in the arena until the end.")
@click.option("--quantize", metavar="SPEC", help="As if every float were stored as int8, int16, fp16 or bf16.")
@click.option("--reorder", is_flag=True, help="Run the nodes in the best order found.")
@click.option("--save", metavar="PATH", help="Save the reordered model.")
@click.option("--patch", metavar="auto|TENSOR:4x4", help="Run the nodes up to TENSOR in patches.")
@click.option("--context", metavar="N", help="Tokens a key/value cache shall hold.")
@click.option("--batch-size", metavar="N", help="Sequences a key/value cache shall hold.")
@click.option("--kv-dtype", metavar="TYPE", help="The element type of the key/value cache: fp16, int8, ...")
@click.option("--kv-window", metavar="N", help="Keep only the last N tokens in the key/value cache.")
@click.option(
    "--training",
    is_flag=False,
    flag_value="1",
    metavar="[FRACTION]",
    help="Estimate what training keeps, where this fraction of weights is updated.",
)
@click.option("--all", "every", is_flag=True, help="Every figure by its name.")
@click.option("--timeline", is_flag=True, help="Step by step: what is born, alive, and dies.")
@click.option("--buffers", is_flag=True, help="The layout of the arena: every buffer and its offset.")
@click.option(
    "--kernels",
    is_flag=False,
    flag_value="1",
    metavar="[ROWS]",
    help="Working sets of layers: ROWS output rows at a time, and im2col.",
)
@click.option("--totals", is_flag=True, help="One row per model and runtime.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="At most N rows of each list.")
@click.option("--seconds", is_flag=True, help="Add how long planning took: the document then differs between runs.")
@click.option("--emit-plan", type=click.Choice(PLANS), help="Write the offsets: for TFLM's offline planner, or as C.")
@document_options(FORMATS)
def command(
    model: tuple[str, ...],
    dim: tuple[str, ...],
    shape: tuple[str, ...],
    operators: tuple[str, ...],
    runtime: tuple[str, ...],
    top: int | None,
    save: str | None,
    emit_plan: str | None,
    forms: tuple[str, ...],
    as_json: bool,
    output: str | None,
    **options: Any,
) -> int:
    """What each MODEL needs while it runs: the arena, what is alive when, and what would lower it.

    \b
    effaudit memory sample:vww-int8 --runtime tflm
    effaudit memory sample:ic --timeline
    """
    chosen = items(runtime)
    if "list" in chosen:
        from effaudit.render.memory.runtimes import runtimes

        emit(runtimes(), output)
        return 0
    wanted = formats(forms, as_json, output, FORMATS)
    sizes, names = given(dim, shape, model), models(model)
    check((*(path for _, path in wanted), save), (*names, *items(operators)))
    lists = tuple(name for name in LISTS if options[LISTS[name]])
    _fits(wanted, lists, names, chosen, save, emit_plan, **options)
    from effaudit.cli.planning import asked
    from effaudit.memory.model import memory, plan_memory
    from effaudit.memory.types import ModelMemory
    from effaudit.render.memory import render
    from effaudit.tables.table import Shown

    runs, own = asked(chosen, **options), definitions(operators)
    if emit_plan is not None:
        from effaudit.memory.emitted import emitted

        emit([emitted(emit_plan, names[0], sizes, runs[0], own)], output)
        return 0

    def planned(name: str, sizes: Given) -> list[ModelMemory]:
        return plan_memory(name, sizes, runs, own, save)

    made, code = each(names, sizes, planned)
    found = [one for several in made for one in several]
    if save is not None and found:
        click.echo(f"effaudit: saved {printable(save, None)}", err=True)
    for form, path in wanted if found else ():
        emit(render(form, memory(found), Shown(lists, top, width=width())), path)
    return code


def _fits(
    wanted: list[tuple[str, str | None]],
    lists: tuple[str, ...],
    names: tuple[str, ...],
    runtimes: tuple[str, ...],
    save: str | None,
    emit_plan: str | None,
    **options: Any,
) -> None:
    """Raises UsageError where what is asked for does not go together."""
    forms = [form for form, _ in wanted]
    if "csv" in forms and len(lists) > 1:
        raise UsageError(f"csv holds one table; ask for one of {', '.join(lists)}")
    several = len(names) * max(len(runtimes), 1) > 1
    if save is not None:
        if not options["reorder"]:
            raise UsageError("--save: saves a reordered model; add --reorder")
        if several:
            raise UsageError("--save: one model and one runtime at a time")
    if emit_plan is not None:
        if several:
            raise UsageError("--emit-plan: one model and one runtime at a time")
        if forms != ["text"]:
            raise UsageError("--emit-plan: writes the plan itself; leave -f and --json out")
        beside = ["--save"] if save is not None else [f"--{LISTS[name].replace('every', 'all')}" for name in lists]
        if beside:
            raise UsageError(f"--emit-plan: writes the plan and nothing else; leave {beside[0]} out")
