"""`effaudit devices`: the profiles there are, what one says, whether one holds, and a new one."""

from __future__ import annotations

import os

import click

from effaudit.cli.options import DEVICE_CLASSES, device_folders, document_options, formats, items, width
from effaudit.cli.output import check, emit
from effaudit.errors import UsageError

FORMATS = ("text", "json", "csv", "markdown")
PAGE_FORMATS = ("text", "json")


@click.group("devices")
def command() -> None:
    """Device profiles: YAML files in which every number has a unit, a source and a status.

    A device is named as NAME, by an alias, as alias/part, or by the path of a profile. Yours are found in the folders
    of EFFAUDIT_DEVICES and of `devices:` in effaudit.yaml; docs/devices.md says how to write one.
    """


@command.command("list")
@click.option("--class", "classes", multiple=True, metavar="CLASS", help=f"Only of these: {', '.join(DEVICE_CLASSES)}.")
@click.option("--all", "every", is_flag=True, help="With profiles that are only there to be extended.")
@document_options(FORMATS)
def devices_list(
    classes: tuple[str, ...], every: bool, forms: tuple[str, ...], as_json: bool, output: str | None
) -> int:
    """Every device: memory for activations and weights, its default runtime, its names."""
    wanted = formats(forms, as_json, output, FORMATS)
    chosen = tuple(name.lower() for name in items(classes))
    if unknown := [name for name in chosen if name not in DEVICE_CLASSES]:
        raise UsageError(f"--class {unknown[0]!r}: expected one of {', '.join(DEVICE_CLASSES)}")
    check((path for _, path in wanted), ())
    from effaudit.device.document import listed
    from effaudit.render.devices import render
    from effaudit.tables.table import Shown

    document = listed(device_folders(), chosen, abstract=every)
    for form, path in wanted:
        emit(render(form, document, Shown(width=width())), path)
    return 0


@command.command("show")
@click.argument("name", nargs=-1, required=True)
@document_options(PAGE_FORMATS)
def devices_show(name: tuple[str, ...], forms: tuple[str, ...], as_json: bool, output: str | None) -> int:
    """What the profile of NAME says, each number with its status and source."""
    wanted = formats(forms, as_json, output, PAGE_FORMATS)
    check((path for _, path in wanted), name)
    from effaudit.device.document import shown
    from effaudit.render.devices import render
    from effaudit.tables.table import Shown

    document = shown(items(name), device_folders())
    for form, path in wanted:
        emit(render(form, document, Shown(width=width())), path)
    return 0


@command.command("validate")
@click.argument("path", nargs=-1)
def devices_validate(path: tuple[str, ...]) -> int:
    """Whether profiles hold: every problem a line. PATH is a profile or a folder; without one, all shipped profiles."""
    from effaudit.device.check import checked

    code = 0
    for one, problems in checked(path, device_folders()):
        emit([f"{line}\n" for line in problems or [f"{one}: ok"]], None)
        code = 2 if problems else code
    return code


@command.command("new")
@click.argument("name")
@click.option("--from", "base", metavar="NAME", help="Complete this device instead of beginning empty.")
@click.option("-o", "--output", metavar="PATH", help="Write the profile to PATH (a new file), not standard output.")
def devices_new(name: str, base: str | None, output: str | None) -> int:
    """A profile to fill in, valid as it stands."""
    check((output,), ())
    from effaudit.cli.output import create
    from effaudit.device.new import extending, template

    beside = os.path.dirname(output or "") or "."
    text = template(name) if base is None else extending(name, base, device_folders(), beside)
    create(text, output)
    return 0


@command.command("calibrate")
@click.option("--threads", multiple=True, metavar="N,...", help="Threads of ONNX Runtime; 1 and all cores.")
@click.option("--name", default="host", metavar="NAME", help="The name of the device in the profile; host.")
@click.option("-o", "--output", metavar="PATH", default="host.yaml", help="Write the profile to PATH; host.yaml.")
def devices_calibrate(threads: tuple[str, ...], name: str, output: str) -> int:
    """Measures this machine through ONNX Runtime, in less than a minute, and writes its profile.

    `effaudit time --predict` holds runs against it, and every command takes it as --device host.yaml. Leave the machine
    alone meanwhile. A profile that is there already is replaced where a calibration wrote it.
    """
    check((output,), ())
    from effaudit.cli.calibrating import calibrated

    return calibrated(items(threads), name, output)


@command.command("schema")
@click.option("-o", "--output", metavar="PATH", help="Write the document to PATH instead of standard output.")
def devices_schema(output: str | None) -> int:
    """The JSON Schema of a profile, for editors."""
    check((output,), ())
    from effaudit.device.json_schema import json_schema
    from effaudit.render.devices.json import indented

    emit([indented(json_schema())], output)
    return 0
