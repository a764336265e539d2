"""`effaudit fit`: does it fit this device, and what decides?"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from effaudit.cli.options import (
    DEVICE_CLASSES,
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

# Written out: these are needed before anything of the program is loaded.
FORMATS = ("text", "json", "csv", "markdown", "svg")
# list -> the option that asks for it
LISTS = {"nodes": "nodes", "roofline": "roofline", "left": "fallback", "energy": "energy"}


@click.command("fit")
@click.argument("model", nargs=-1)
@click.option("--device", multiple=True, metavar="NAME", help="The device; several: a matrix. `effaudit devices list`.")
@click.option("--all", "every", is_flag=True, help="Every device there is.")
@click.option(
    "--class", "kinds", multiple=True, metavar="CLASS", help=f"Every device of a class: {', '.join(DEVICE_CLASSES)}."
)
@click.option("--runtime", metavar="NAME[@VERSION]", default="", help="A runtime of the device; its first by default.")
@model_options
@click.option("--quantize", multiple=True, metavar="SPEC", help="As if in int8, int16, fp16 or bf16; several: each.")
@held_to_options
@click.option("--effort", type=click.Choice(("low", "normal", "high")), default="normal", help="How far searches go.")
@click.option("--batch", "batches", multiple=True, metavar="N", help="Latency, throughput and regime at these batches.")
@click.option("--batch-size", metavar="N", help="Sequences served at once.")
@click.option("--context", metavar="N", help="Tokens of every sequence, prompt and answer.")
@click.option("--prompt", metavar="N", help="Tokens of the prompt.")
@click.option("--kv-dtype", metavar="TYPE", help="The element type of the key/value cache: fp16, int8, ...")
@click.option("--grid", metavar="G", help="Grams of CO2 per kWh.")
@click.option("--price", metavar="P", help="The price of a kWh, in any currency.")
@click.option("--pue", metavar="X", help="Power usage effectiveness around the device.")
@click.option("--utilisation", metavar="X", help="The share of its power that the device draws: 0 to 1.")
@click.option("--battery", metavar="CAPACITY", help="1000mAh@3.7V, or 3.7Wh.")
@click.option("--nodes", is_flag=True, help="Every kernel: time, limiter, roofline.")
@click.option("--roofline", is_flag=True, help="The roofline as a plot.")
@click.option("--energy", is_flag=True, help="Every basis of the energy, and its parts.")
@click.option("--fallback", is_flag=True, help="Every node that leaves the accelerator, and why.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="At most N rows of each list.")
@click.option("--suggest", is_flag=True, help="Search the smallest change after which it fits.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever the verdict.")
@document_options(FORMATS)
def command(
    model: tuple[str, ...],
    dim: tuple[str, ...],
    shape: tuple[str, ...],
    operators: tuple[str, ...],
    top: int | None,
    suggest: bool,
    exit_zero: bool,
    forms: tuple[str, ...],
    as_json: bool,
    output: str | None,
    **options: Any,
) -> int:
    """Whether each MODEL fits the devices: memories, operators, latency, energy, each against its limit.

    MODEL:N runs a model N times in a pipeline, one model after the other. Exit codes: 0 fits, 1 does not, 2 a wrong
    option, model or profile, or a size that decides is not given, 4 not known.

    \b
    effaudit fit sample:vww-int8 --device cortex-m7
    effaudit fit sample:vww --device cortex-m4 --suggest
    effaudit fit sample:decoder-7b --device h100 --batch-size 4 --context 32768
    """
    wanted = formats(forms, as_json, output, FORMATS)
    lists = tuple(name for name, option in LISTS.items() if options[option])
    if any(form == "csv" for form, _ in wanted) and len([name for name in lists if name != "roofline"]) > 1:
        raise UsageError("csv holds one table; ask for one of --nodes, --fallback, --energy")
    from effaudit.cli.fitting import asked, audit_all, chosen_devices, parts

    runs = parts(models(model))
    check((path for _, path in wanted), (*(name for name, _ in runs), *items(operators), *items(options["device"])))
    devices = chosen_devices(options["device"], every=options["every"], kinds=items(options["kinds"]))
    called = {device.name: name for name, device in devices.items()}
    made = [msgspec.structs.replace(one, called=called) for one in asked(**options)]
    sizes, own = given(dim, shape, model), definitions(operators)
    document = audit_all(runs, tuple(devices.values()), made, sizes, own, _completed)
    if suggest:
        from effaudit.cli.suggesting import with_suggestions

        said = _said({"--dim": dim, "--shape": shape, "--operators": operators}, options)
        document = with_suggestions(document, tuple(devices.values()), made, sizes, own, said)
    from effaudit.render.fit import render
    from effaudit.tables.table import Shown

    for form, path in wanted:
        emit(render(form, document, Shown(lists, top, width=width())), path)
    return 0 if exit_zero else document.exit_code


def _said(repeatable: Mapping[str, tuple[str, ...]], options: Mapping[str, Any]) -> list[str]:
    """The words of the command line that say what is audited and within what limits."""
    words = [word for option, values in repeatable.items() for value in values for word in (option, value)]
    for name in ("max_latency", "max_energy", "min_throughput"):
        words += [] if options[name] is None else [f"--{name.replace('_', '-')}", options[name]]
    return words


def _completed(dims: Mapping[str, int]) -> str:
    """The command as it was called, with the sizes that are missing, ready to paste."""
    missing = [f"--dim {shlex.quote(f'{name}={size}')}" for name, size in dims.items()]
    return " ".join(["effaudit", *(shlex.quote(word) for word in sys.argv[1:]), *missing])
