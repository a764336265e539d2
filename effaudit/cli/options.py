"""Options that mean the same in every command."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from effaudit.errors import UsageError
from effaudit.load.binding import MAX_DIM, Given
from effaudit.units import parse_count

if TYPE_CHECKING:
    from effaudit.config import Found


# effaudit.device.types.Kind, written out: it is needed before anything of the program is loaded.
DEVICE_CLASSES: Final = ("mcu", "npu", "phone", "sbc", "gpu", "cpu", "tpu")
_Command = TypeVar("_Command", bound=Callable[..., Any])


def model_options(command: _Command) -> _Command:
    """Adds the options that say what a model is: the sizes of its dims, and operators of the user's own."""
    return _with(
        command,
        click.option("--dim", multiple=True, metavar="NAME=N", help="Bind a named dim. Repeatable."),
        click.option(
            "--shape", multiple=True, metavar="[INPUT=]1x3x224x224", help="Bind the shape of an input. Repeatable."
        ),
        click.option("--operators", multiple=True, metavar="FILE", help="Formulas of operators of your own, in YAML."),
    )


def document_options(known: Sequence[str]) -> Callable[[_Command], _Command]:
    """Adds the options that say where a document goes, in which of the `known` formats; the first is the default."""
    default, *others = known
    rest = f" or {others[0]}" if len(others) == 1 else f", {', '.join(others)}"
    listed = f"{default} (default){rest}."
    return lambda command: _with(
        command,
        click.option("-f", "--format", "forms", multiple=True, metavar="FMT[=PATH]", help=listed),
        click.option("--json", "as_json", is_flag=True, help="The same as -f json."),
        click.option("-o", "--output", metavar="PATH", help="Write the document to PATH instead of standard output."),
    )


def _with(command: _Command, *added: Callable[[_Command], _Command]) -> _Command:
    """In the order of the help, which is that of decorators from above."""
    for option in reversed(added):
        command = option(command)
    return command


def held_to_options(command: _Command) -> _Command:
    """Adds the options that say within what a device holds a model, and how the model runs there."""
    return _with(
        command,
        click.option("--reserve", multiple=True, metavar="MEMORY=BYTES|N%", help="Keep bytes of a memory: sram=96KiB."),
        click.option("--max-latency", metavar="TIME", help="The most one inference may take: 100ms."),
        click.option("--max-energy", metavar="ENERGY", help="The most energy one inference may take: 5mJ."),
        click.option("--min-throughput", metavar="N", help="Inferences per second that are needed."),
        click.option(
            "--planner", metavar="NAME", help="Another planner of offsets than the runtime's; best: the best found."
        ),
        click.option("--reorder", is_flag=True, help="Run the nodes in the best order found."),
        click.option("--patch", metavar="auto|TENSOR:4x4", help="Run the nodes up to TENSOR in patches."),
    )


def count(text: str | None, what: str) -> int | None:
    """A whole number from 1 as an option gives it; None where it is not given. Raises UsageError."""
    if text is None:
        return None
    found = parse_count(text, what)
    if not 1 <= found <= MAX_DIM:
        raise UsageError(f"{what}: {text} is out of range; a whole number from 1")
    return found


def given(dim: Iterable[str], shape: Iterable[str], models: Sequence[str] | None = None) -> Given:
    """`--dim NAME=N` and `--shape [INPUT=]1x3x224x224`, each repeatable or comma-separated. Where a command takes
    `models` and none is named, the sizes of the configuration hold as well; an option says otherwise."""
    dims: dict[str, int] = {}
    for option in dim:
        for item in assignments(option):
            name, sign, size = item.rpartition("=")
            if not sign or not name:
                raise UsageError(f"--dim {option!r}: expected NAME=N, such as --dim batch=1")
            known = dims.setdefault(name.strip(), _size(size, f"--dim {name}"))
            if known != _size(size, f"--dim {name}"):
                raise UsageError(f"--dim {name} is given twice, as {known} and {size}")
    shapes: dict[str, tuple[int, ...]] = {}
    for option in shape:
        for item in assignments(option):
            name, _, sizes = item.rpartition("=")
            shapes[name.strip()] = _shape(sizes, option)
    found = _config() if models is not None and not models else None
    if found is None:
        return Given(dims, shapes)
    return Given({**found.config.dims, **dims}, {**found.config.shapes, **shapes})


def assignments(option: str) -> list[str]:
    """Comma-separated NAME=VALUE items; a comma inside a value (1,3,224,224) does not separate."""
    items: list[str] = []
    for part in option.split(","):
        if items and ("=" not in part or "=" not in items[-1]):
            items[-1] += f",{part}"
        else:
            items.append(part)
    return items


def _shape(text: str, option: str) -> tuple[int, ...]:
    text = text.strip().strip("[]()").strip()
    if text in ("", "scalar"):
        return ()
    return tuple(_size(part, f"--shape {option}") for part in re.split(r"[x,*\s]+", text) if part)


def _size(text: str, what: str) -> int:
    size = parse_count(text, what)
    if size > MAX_DIM:
        raise UsageError(f"{what}: {text} is too large for a dim")
    return size


def models(names: tuple[str, ...]) -> tuple[str, ...]:
    """The models to audit: as named, those of the configuration, or the only one in the current folder (never guessed
    in CI)."""
    if names:
        return names
    found = _config()
    if found is not None and found.config.models:
        return found.models()
    here = sorted(name for name in os.listdir() if name.endswith(".onnx"))
    if len(here) == 1 and not os.environ.get("CI"):
        click.echo(f"effaudit: using {here[0]}, the only model in this folder", err=True)
        return (here[0],)
    there = f"this folder has {', '.join(here[:12])}" if here else "this folder has no *.onnx file; try sample:ic"
    raise UsageError(f"which model? {there}")


def _config() -> Found | None:
    from effaudit.config import nearest

    return nearest()


def device_folders() -> tuple[str, ...]:
    """Where the user keeps device profiles: EFFAUDIT_DEVICES, then the configuration."""
    from effaudit import config

    return config.device_folders(os.environ)


# A comma in a number (724,406,816) separates nothing.
_COMMA: Final = r",(?!(?<=\d,)\d{3}(?!\d))"


def items(options: Iterable[str]) -> tuple[str, ...]:
    """The values of a list option: comma and repetition are equal."""
    return tuple(item.strip() for option in options for item in re.split(_COMMA, option) if item.strip())


def formats(
    options: Iterable[str], as_json: bool, output: str | None, known: Sequence[str]
) -> list[tuple[str, str | None]]:
    """(format, path) pairs; `-o` is the path of the one format that names none. Raises UsageError."""
    wanted: list[tuple[str, str | None]] = []
    asked = [*items(options), *(["json"] if as_json else [])]
    for item in asked or ["text"]:
        form, sign, path = item.partition("=")
        if sign and not path:
            raise UsageError(f"--format {item!r}: expected a path after =")
        if form not in known:
            raise UsageError(f"--format {form!r}: expected one of {', '.join(known)}")
        wanted.append((form, path or output))
    if output and asked and all("=" in item for item in asked):
        raise UsageError("-o and a path for every format: which one is meant?")
    if len({path for _, path in wanted}) < len(wanted):
        raise UsageError("several formats need a path of their own each, such as -f json=report.json -f csv=nodes.csv")
    return wanted


def width() -> int:
    """Columns of the terminal, 80 where there is none; COLUMNS overrides."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and 20 <= int(columns) <= 1000:
        return int(columns)
    try:
        return max(os.get_terminal_size(sys.stdout.fileno()).columns, 80)
    except (AttributeError, OSError, ValueError):  # closed, or no terminal
        return 80


def definitions(files: Iterable[str]) -> Mapping[tuple[str, str], Any] | None:
    """The operators that `--operators` files define. Raises UsageError."""
    paths = items(files)
    if not paths:
        return None
    from effaudit.operators import read

    return read(*paths)
