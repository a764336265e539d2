"""`effaudit whatif`: what becomes of a network, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from effaudit.cli.audits import each
from effaudit.cli.in_order import InOrder
from effaudit.cli.options import (
    definitions,
    document_options,
    formats,
    given,
    held_to_options,
    items,
    model_options,
    models,
    width,
)
from effaudit.cli.output import check, emit
from effaudit.errors import UsageError
from effaudit.load.binding import Given
from effaudit.printable import printable

if TYPE_CHECKING:
    from effaudit.before_after.asked import StepsAsked
    from effaudit.before_after.types import ModelSteps
    from effaudit.graph import Graph
    from effaudit.whatif.types import Step

# Written out: these are needed before anything of the program is loaded.
FORMATS = ("text", "json", "markdown", "csv")
# what-if -> (what its option takes, its help)
WHATIFS = {
    "bind": ("NAME=N,...", "Other sizes of inputs: batch=4, seq=512, x=1x3x160x160."),
    "fold": ("KIND,...", "What nobody needs to compute: bn, constants, identity, duplicates, qdq; all."),
    "prune": ("SPEC,...", "Channels or weights away: channels=30%, sparsity=50%, 2:4, block=4x1, dead."),
    "quantize": ("SPEC,...", "Fewer bits: int8, w8a16, int4, nf4, dynamic, fp16, with what goes beside it."),
    "lowrank": ("SPEC,...", "Thinner products by SVD: rank=16, ratio=50%, energy=99%."),
    "separable": ("SPEC,...", "Convolutions as depthwise and pointwise ones: all, only=PATTERN."),
    "group": ("SPEC,...", "Convolutions that read their channels in groups: groups=4."),
    "width": ("SPEC,...", "Fewer channels everywhere, as a student has: 0.5,round=8."),
    "codebook": ("SPEC,...", "Weights that share values, by k-means: k=16, bits=4."),
    "gqa": ("SPEC,...", "Fewer heads of keys and values: kv_heads=2, groups=4."),
    "smoothquant": ("SPEC,...", "Outliers moved from activations into weights: calibrate=DIR|random."),
    "adapt": ("SPEC,...", "Adapters beside frozen weights, and what training them holds: lora,rank=16,base=nf4."),
    "flash": ("SPEC,...", "Attention in one operator, without its scores: all, only=PATTERN."),
}
STEPS = "steps"
RUNTIME = "A runtime of the device, or of `effaudit memory`."
_Command = TypeVar("_Command", bound=Callable[..., Any])


def what_ifs(command: _Command) -> _Command:
    """Adds an option for each what-if."""
    for name, (metavar, said) in reversed(WHATIFS.items()):
        command = click.option(f"--{name}", multiple=True, metavar=metavar, help=said)(command)
    return command


def device_options(command: _Command) -> _Command:
    """Adds the options of a fit that say where the model is looked at, and what limits it is held to."""
    command = held_to_options(command)
    runtime = click.option("--runtime", metavar="NAME", default="", help=RUNTIME)
    device = click.option(
        "--device", multiple=True, metavar="NAME", help="Latency and verdict on this device; several."
    )
    return device(runtime(command))


@click.command("whatif", cls=InOrder)
@click.argument("model", nargs=-1)
@what_ifs
@click.option(f"--{STEPS}", multiple=True, metavar="FILE", help="What-ifs in YAML, made where this option stands.")
@click.option("--save", metavar="PATH", help="Save the model after the last step.")
@click.option("--sensitivity", is_flag=True, help="What each node does to the outputs when it alone is quantized.")
@click.option("--save-table", metavar="PATH", help="Save the mixed table that --quantize ...,budget=30dB finds.")
@model_options
@device_options
@click.option("--details", is_flag=True, help="Every tensor and group a step was about, and all that it left.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="At most N rows of each list of --details.")
@document_options(FORMATS)
def command(
    model: tuple[str, ...],
    dim: tuple[str, ...],
    shape: tuple[str, ...],
    operators: tuple[str, ...],
    save: str | None,
    sensitivity: bool,
    save_table: str | None,
    details: bool,
    top: int | None,
    forms: tuple[str, ...],
    as_json: bool,
    output: str | None,
    ordered: tuple[tuple[str, str], ...],
    **options: Any,
) -> int:
    """What becomes of each MODEL: the figures as given, and after each step, in the order the steps are given.

    \b
    effaudit whatif sample:ic --fold bn --prune channels=30% --quantize int8
    effaudit whatif sample:ic --quantize int8,calibrate=DIR --save small.onnx
    """
    wanted = formats(forms, as_json, output, FORMATS)
    sizes, names = given(dim, shape, model), models(model)
    read = (*names, *items(operators), *items(options["device"]), *options[STEPS])
    check((*(path for _, path in wanted), save, save_table), read)
    if (save or save_table) is not None and len(names) > 1:
        raise UsageError(f"{'--save' if save else '--save-table'}: one model at a time")
    steps = steps_of(asking(ordered) if sensitivity else ordered)
    if not steps:
        raise UsageError("what if? name a step, such as --fold bn, --prune channels=30% or --quantize int8")
    from effaudit.before_after.model import document
    from effaudit.render.before_after import render
    from effaudit.tables.table import Shown

    asked, own = asked_of(**options), definitions(operators)

    def made(name: str, sizes: Given) -> ModelSteps:
        import msgspec

        from effaudit.audited import examine
        from effaudit.before_after.model import before_after

        found, last = before_after(examine(name, sizes, own), steps, asked)
        found = msgspec.structs.replace(found, options=(*found.options, *_within(operators, options)))
        if save_table is not None:
            _table_saved(found, save_table)
        if save is None:
            return found
        _saved(last.raw, save, found.missing)
        return msgspec.structs.replace(found, saved=save)

    found, code = each(names, sizes, made)
    shown = Shown(("details",) if details else (), top, width=width())
    for form, path in wanted if found else ():
        emit(render(form, document(found), shown), path)
    return code


def _within(operators: tuple[str, ...], options: Mapping[str, Any]) -> Iterator[str]:
    """The words of the command line that say within what limits, and by which formulas."""
    for name in ("max_latency", "max_energy", "min_throughput"):
        yield from () if options[name] is None else (f"--{name.replace('_', '-')}", options[name])
    for path in operators:
        yield from ("--operators", path)


def asking(ordered: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The steps, each `--quantize` with its sensitivity. Raises UsageError where there is none."""
    if not any(name == "quantize" for name, _ in ordered):
        raise UsageError("--sensitivity: of which quantization? give it too, such as --quantize int8,calibrate=DIR")
    return [(name, f"{text},sensitivity" if _unasked(name, text) else text) for name, text in ordered]


def _unasked(name: str, text: str) -> bool:
    return name == "quantize" and "sensitivity" not in text.split(",")


def _table_saved(found: ModelSteps, path: str) -> None:
    """Writes the last mixed table that was found. Raises UsageError where there is none."""
    table = next((step.table for step in reversed(found.steps) if step.table), None)
    if table is None:
        raise UsageError("--save-table: no step found a table; add budget=30dB to --quantize")
    emit([table], path)
    click.echo(f"effaudit: saved {printable(path, None)}: --quantize table={printable(path, None)} reads it", err=True)


def steps_of(ordered: Sequence[tuple[str, str]]) -> tuple[Step, ...]:
    """The steps, those of a file where its option stands. Raises UsageError."""
    from effaudit.whatif import parse
    from effaudit.whatif.steps import read_steps

    steps: list[Step] = []
    for name, text in ordered:
        if name == STEPS:
            steps += read_steps(text)
        elif name in WHATIFS:
            steps.append(parse(name, text))
    return tuple(steps)


def asked_of(**options: Any) -> StepsAsked:
    """On which devices, under which runtime and limits. Raises UsageError."""
    import msgspec

    from effaudit.before_after.asked import StepsAsked
    from effaudit.cli.fitting import UNASKED, asked, chosen_devices

    (fit,) = asked(**{key: options.get(key, value) for key, value in UNASKED.items() if key != "quantize"}, quantize=())
    devices = chosen_devices(options["device"], every=False, kinds=()) if options["device"] else {}
    if not devices:
        alone = ("reserve", "max_latency", "max_energy", "min_throughput")
        if limits := [f"--{name.replace('_', '-')}" for name in alone if options[name]]:
            raise UsageError(f"{limits[0]}: holds a device to it; name one with --device")
    called = {device.name: name for name, device in devices.items()}
    made = StepsAsked(tuple(devices.values()), msgspec.structs.replace(fit, called=called))
    made.check()
    return made


def _saved(graph: Graph, path: str, missing: str | None) -> None:
    """Writes the model and says so; without weights only where it was `missing` weights when it was read. Raises
    UsageError for what cannot be written."""
    from effaudit.save import save_model

    save_model(graph, path, weightless=missing is not None)
    without = f", without its weights: {printable(missing, 200)}" if missing else ""
    click.echo(f"effaudit: saved {printable(path, None)}{without}", err=True)
