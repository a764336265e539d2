"""`effaudit report`: what each network costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from effaudit.cli.audits import each
from effaudit.cli.options import definitions, document_options, formats, given, items, model_options, models, width
from effaudit.cli.output import check, emit
from effaudit.errors import UsageError
from effaudit.load.binding import Given

if TYPE_CHECKING:
    from effaudit.report import ModelReport
    from effaudit.views.pareto import Comparing, Pareto

# Written out: these are needed before anything of the program is loaded.
FORMATS = ("text", "json", "jsonl", "csv", "markdown", "latex")
KEYS = ("op", "kind", "scope[:LEVELS]", "dtype", "shape", "kernel", "depth", "part")
CHARTS = ("macs", "params", "bytes", "activation_bytes", "ops")
_VIEWS = ("transformer", "movement", "receptive_field", "winograd", "weights")


@click.command("report")
@click.argument("model", nargs=-1)
@model_options
@click.option("--device", multiple=True, metavar="NAME", help="Add time, roofline and energy on this device.")
@click.option("--runtime", metavar="NAME[@VERSION]", default="", help="A runtime of the device; its first by default.")
@click.option("--quantize", metavar="SPEC", help="On the device, as if in int8, int16, fp16 or bf16.")
@click.option("--roofline", is_flag=True, help="The roofline on the device as a plot.")
@click.option("--totals", is_flag=True, help="One row per model, also of one model and in every format.")
@click.option("--nodes", is_flag=True, help="List every node.")
@click.option("--group-by", multiple=True, metavar="KEY[,KEY]", help=f"Sum the nodes by {', '.join(KEYS)}.")
@click.option(
    "--top", type=click.IntRange(1), metavar="N", help="N rows of each list; alone, N hot spots of each cost."
)
@click.option("--sort", metavar="COLUMN", help="Sort the nodes or groups; numbers downwards.")
@click.option("--columns", multiple=True, metavar="COLUMN[,COLUMN]", help="The columns of the nodes or groups.")
@click.option(
    "--chart", is_flag=False, flag_value="macs", metavar="[COST]", help=f"Bars of shares: {', '.join(CHARTS)}."
)
@click.option("--transformer", is_flag=True, help="Each transformer block by its parts.")
@click.option("--movement", is_flag=True, help="The nodes that compute nothing and only move bytes.")
@click.option("--receptive-field", is_flag=True, help="What each feature map sees of the input.")
@click.option("--winograd", is_flag=True, help="The multiplications that Winograd kernels would take.")
@click.option("--weights", is_flag=True, help="Read the weights: zeros, dead channels, duplicates, ranges, outliers.")
@click.option(
    "--against",
    multiple=True,
    metavar="NUMBER|NAME",
    help="Explain a published figure: 3.8G, or an architecture's name.",
)
@click.option(
    "--baseline",
    multiple=True,
    metavar="NAME",
    help="Add a published architecture as a row; nearest: the closest ones.",
)
@click.option(
    "--accuracy",
    multiple=True,
    metavar="MODEL=PERCENT",
    help="The accuracy of a model: which models are Pareto-optimal. Repeatable.",
)
@click.option(
    "--pareto",
    multiple=True,
    metavar="COST[,COST]",
    help="With accuracies, the costs to be low: params, macs, weight_bytes, live_bytes, latency.",
)
@click.option("--target", metavar="80ms|300M", help="With accuracies, MnasNet's reward at this latency or these MACs.")
@document_options(FORMATS)
def command(
    model: tuple[str, ...],
    dim: tuple[str, ...],
    shape: tuple[str, ...],
    operators: tuple[str, ...],
    device: tuple[str, ...],
    runtime: str,
    quantize: str | None,
    roofline: bool,
    totals: bool,
    nodes: bool,
    group_by: tuple[str, ...],
    top: int | None,
    sort: str | None,
    columns: tuple[str, ...],
    chart: str | None,
    against: tuple[str, ...],
    baseline: tuple[str, ...],
    accuracy: tuple[str, ...],
    pareto: tuple[str, ...],
    target: str | None,
    forms: tuple[str, ...],
    as_json: bool,
    output: str | None,
    **views: bool,
) -> int:
    """What each MODEL costs: a file, an http(s) address, sample:NAME, or - for standard input.

    Example: effaudit report sample:ic --nodes
    """
    wanted = formats(forms, as_json, output, FORMATS)
    sizes, names = given(dim, shape, model), models(model)
    check((path for _, path in wanted), (*names, *items(operators), *items(device)))
    named = [name.replace("_", "-") for name in _VIEWS if views[name]]
    keys, chosen = _keys(group_by), items(columns)
    wants = {"totals": totals, "groups": bool(keys), **dict.fromkeys(named, True), "against": bool(against)}
    wants["nodes"] = nodes or bool((sort or chosen) and not keys)
    wants["roofline"] = roofline
    lists = _lists(wants, top)
    _fits(wanted, lists, chart, items(baseline))
    wanted_of = _comparing(accuracy, pareto, target, names, on_device=bool(device))
    if wanted_of is not None and "csv" in [form for form, _ in wanted] and (lists or baseline):
        raise UsageError("csv holds one table: that of --accuracy has no rows for other lists or --baseline")
    where = _device(device, runtime, quantize, roofline=roofline)
    from effaudit.render import render
    from effaudit.report import Asked, audit, report
    from effaudit.report import check as check_asked
    from effaudit.tables import check as check_columns
    from effaudit.tables.table import Shown

    asked = Asked(frozenset(named), keys, items(against), top or Asked().top)
    shown = Shown(lists, top, sort or "", chosen, chart or "", width())
    check_asked(asked, items(baseline))
    check_columns(shown, keys, on_device=where is not None)
    own = definitions(operators)

    def audited(name: str, sizes: Given) -> ModelReport:
        return audit(name, sizes, asked, own) if where is None else where(name, sizes, asked, own)

    made, code = each(names, sizes, audited)
    compared = None if wanted_of is None else _compared(made, wanted_of)
    for form, path in wanted if made else ():
        emit(render(form, report(made, items(baseline), compared), shown), path)
    return code


def _comparing(
    accuracy: tuple[str, ...], pareto: tuple[str, ...], target: str | None, names: tuple[str, ...], *, on_device: bool
) -> Comparing | None:
    """What to compare by accuracy; None where nothing is asked. Raises UsageError."""
    if not accuracy and not pareto and target is None:
        return None
    from effaudit.cli.accuracies import comparing  # few reports have accuracies

    return comparing(accuracy, pareto, target, names, on_device=on_device)


def _compared(models: Sequence[ModelReport], asked: Comparing) -> Pareto:
    from effaudit.report.compared import compared

    if not any("device" in model.__struct_fields__ for model in models):
        return compared(models, asked)
    from effaudit.cli.on_device import latencies

    return compared(models, asked, *latencies(models))


def _device(
    names: tuple[str, ...], runtime: str, quantize: str | None, *, roofline: bool
) -> Callable[..., ModelReport] | None:
    """`audit` on the device that is asked for; None where none is. Raises UsageError."""
    if not names:
        options = {"--runtime": bool(runtime), "--quantize": quantize is not None, "--roofline": roofline}
        for option in (option for option, given in options.items() if given):
            raise UsageError(f"{option} is about a device; name it with --device")
        return None
    from effaudit.cli.on_device import auditing  # imports the devices, which few reports need

    return auditing(items(names), runtime, quantize)


def _keys(group_by: tuple[str, ...]) -> tuple[str, ...]:
    keys = items(group_by)
    if group_by and not keys:
        raise UsageError(f"--group-by {','.join(group_by)!r}: names no key; there are {', '.join(KEYS)}")
    return keys


def _lists(wants: Mapping[str, bool], top: int | None) -> tuple[str, ...]:
    """The lists asked for, in order; `--top` alone asks for more hot spots."""
    lists = tuple(name for name, wanted in wants.items() if wanted)
    return lists if lists or top is None else ("hot",)


def _fits(
    wanted: list[tuple[str, str | None]], lists: tuple[str, ...], chart: str | None, baselines: tuple[str, ...]
) -> None:
    """Raises UsageError where a format cannot show what is asked for."""
    forms = [form for form, _ in wanted]
    if chart and chart not in CHARTS:
        hint = "; a model comes before --chart" if "." in chart or ":" in chart or "/" in chart else ""
        raise UsageError(f"--chart {chart!r}: expected one of {', '.join(CHARTS)}{hint}")
    if chart and "text" not in forms:
        raise UsageError("--chart draws text; leave it out, or add -f text")
    if "csv" in forms and baselines and lists != ("totals",):
        raise UsageError("a csv of nodes has no rows for --baseline; ask for --totals")
    if "csv" in forms and len(lists) > 1:
        raise UsageError(f"csv holds one table; ask for one of {', '.join(lists)}")
