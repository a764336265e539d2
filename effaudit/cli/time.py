"""`effaudit time`: models really run, how long that takes, and which nodes take it."""

from __future__ import annotations

from typing import Any

import click

from effaudit.cli.options import definitions, document_options, formats, items, model_options, models, width
from effaudit.cli.output import check, emit
from effaudit.errors import UsageError

# Written out: these are needed before anything of the program is loaded.
FORMATS = ("text", "json", "csv", "markdown")
LISTS = ("nodes", "kernels")
OPTIMIZE = ("all", "none")


@click.command("time")
@click.argument("model", nargs=-1)
@click.option("--runs", metavar="N", help="Runs that are timed: 50, or what a minute allows. Rounds of --vs: 100.")
@click.option("--warmup", metavar="auto|N", default="auto", help="Runs before them; auto: until times are steady.")
@click.option("--threads", multiple=True, metavar="N,...", help="Threads of ONNX Runtime; 1. Several: a run with each.")
@click.option("--provider", metavar="NAME", default="CPU", help="What executes: CPU, CUDA, TensorRT, OpenVINO, ...")
@click.option("--opt", type=click.Choice(OPTIMIZE), default="all", help="Graph optimizations of ONNX Runtime.")
@model_options
@click.option(
    "--batch", multiple=True, metavar="N,...", help="Sizes of the batch: a measured sweep, as lists of --dim."
)
@click.option("--input", "inputs", metavar="FILE", help="The inputs: an .npz file, an array each; else they are drawn.")
@click.option("--profile/--no-profile", default=True, help="Whether a second session tells the nodes and the memory.")
@click.option("--no-plain", is_flag=True, help="Leave out the short run without optimizations beside the others.")
@click.option("--timeout", metavar="TIME", default="300s", help="The most that all of one model may take; 300s.")
@click.option("--memory", metavar="BYTES", help="The most memory it may take; three quarters of the machine's.")
@click.option("--vs", metavar="MODEL_B", help="Each MODEL in turns with this one: slower, faster, or no difference.")
@click.option("--predict", is_flag=True, help="Hold the times against a profile of this machine, by default host.yaml.")
@click.option("--device", multiple=True, metavar="FILE", help="That profile: one of `effaudit devices calibrate`.")
@click.option("--nodes", is_flag=True, help="Every node with its time.")
@click.option("--kernels", is_flag=True, help="Every kernel that ran, and the nodes it computes.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="At most N rows of each list.")
@document_options(FORMATS)
def command(
    model: tuple[str, ...],
    operators: tuple[str, ...],
    vs: str | None,
    inputs: str | None,
    device: tuple[str, ...],
    top: int | None,
    forms: tuple[str, ...],
    as_json: bool,
    output: str | None,
    **options: Any,
) -> int:
    """How long each MODEL takes in ONNX Runtime on this machine, and which of its nodes take it.

    A model is run in a process of its own, within the limits given.

    \b
    effaudit time sample:ic --nodes
    effaudit time sample:dynamic --dim batch=1,4,16 --dim sequence=128
    """
    wanted = formats(forms, as_json, output, FORMATS)
    lists = tuple(name for name in LISTS if options[name])
    names = models(model)
    _fits([form for form, _ in wanted], lists, vs, device, **options)
    check((path for _, path in wanted), (*names, *items(operators), *items(device), *filter(None, (vs, inputs))))
    from effaudit.cli.timing import asked, sizes, timed, versus
    from effaudit.render.time import render
    from effaudit.tables.table import Shown

    runs = asked(inputs=inputs, device=device, **options)
    given, varied = sizes(options["dim"], options["shape"], options["batch"], model)
    own = definitions(operators)
    if vs is not None and varied:
        raise UsageError(f"--vs: one size at a time; {varied[0].name.removeprefix('dim ')} has several")
    if vs is not None:
        found, code = versus(names, vs, given, runs, own)
    else:
        found, code = timed(names, given, varied, runs, own)
    if found is not None:
        for form, path in wanted:
            emit(render(form, found, Shown(lists, top, width=width())), path)
    return code


def _fits(forms: list[str], lists: tuple[str, ...], vs: str | None, device: tuple[str, ...], **options: Any) -> None:
    """Raises UsageError where what is asked for does not go together."""
    if "csv" in forms and len(lists) > 1:
        raise UsageError("csv holds one table; ask for --nodes or --kernels")
    told = [*lists, *["predict"] * options["predict"], *["device"] * bool(device)]
    if told and not options["profile"]:
        raise UsageError(f"--{told[0]}: a profile of the run tells it; leave --no-profile out")
    if vs is not None:
        beside = [f"--{name}" for name in lists] + ["--predict"] * options["predict"] + ["--device"] * bool(device)
        if beside:
            raise UsageError(f"--vs: compares whole runs; leave {beside[0]} out")
