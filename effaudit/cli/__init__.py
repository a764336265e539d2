"""The command line: one file per command, loaded when it is called. No arithmetic here."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any, Final, NoReturn

import click

COMMANDS: Final = {
    "report": "What the network costs: parameters, MACs, other operations, bytes, memory.",
    "memory": "What it needs while it runs: the arena, what is alive when, what would lower it.",
    "explain": "Where a number comes from: formulas with their numbers put in.",
    "fit": "Whether it fits a device, how fast it runs there, and what it takes.",
    "whatif": "What becomes of it quantized, pruned, folded: every figure before and after.",
    "sweep": "Every combination of sizes, what-ifs and devices: a row each.",
    "time": "How long it really takes in ONNX Runtime on this machine, and which nodes take it.",
    "devices": "The devices there are, what is known of each, and profiles of your own.",
}
SECTIONS: Final = {
    "Look": ("report", "memory", "explain"),
    "Decide": ("fit", "whatif", "sweep"),
    "Run": ("time",),
    "Set up": ("devices",),
}
DEBUG: Final = "--debug"


class Commands(click.Group):
    """Loads a command's module only when that command runs: `--help` imports nothing heavy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"effaudit.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, COMMANDS[name]) for name in names])


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from effaudit import __version__

        click.echo(f"effaudit {__version__}")
        ctx.exit(0)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.option(DEBUG, is_flag=True, expose_value=False, help="Show tracebacks.")
def cli() -> None:
    """effaudit says exactly what a neural network costs, from its ONNX file.

    Every number is exact, a range, a formula, or "unknown" with the reason.

    Exit codes: 0 pass, 1 does not fit, 2 usage or an invalid model or profile, 3 internal error, 4 the verdict is not
    known, 130 interrupted.
    """


def main() -> NoReturn:
    """Runs a command and ends the process with the documented exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name gets its escapes
    sys.exit(_run(DEBUG in sys.argv))


def _run(debug: bool) -> int:
    from effaudit.errors import EffauditError

    argv = [a for a in sys.argv[1:] if a != DEBUG]
    try:
        result: Any = cli.main(args=argv, prog_name="effaudit", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", 130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return 2
    except click.ClickException as error:
        where = getattr(getattr(error, "ctx", None), "command_path", "effaudit")
        return _fail(f"{error.format_message()} (see `{where} --help`)", 2)
    except EffauditError as error:
        if debug:
            raise
        return _fail(str(error), error.exit_code)
    except RecursionError:
        if debug:
            raise
        return _fail("the model is nested too deeply; refused", 2)
    except MemoryError:
        return _fail("out of memory; the model is too large for this machine", 2)
    except Exception as error:
        if debug:
            raise
        return _fail(f"internal error: {type(error).__name__}: {error}; run again with --debug and report it", 3)


def _fail(message: str, code: int) -> int:
    from effaudit.cli.messages import complain

    complain(message)
    return code
