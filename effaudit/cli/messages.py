"""Messages for people, on standard error: one line each."""

from __future__ import annotations

import click

from effaudit.printable import printable


def complain(message: str) -> None:
    """Prints an error as one line."""
    click.echo(f"effaudit: {printable(message, 600)}", err=True)
