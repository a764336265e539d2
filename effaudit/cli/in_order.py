"""Commands whose options are steps: the order in which they stand on the command line counts."""

from __future__ import annotations

import click

ORDERED = "ordered"


class InOrder(click.Command):
    """Gives its callback `ordered`: (name, text) of every repeatable option, each time it is given, in order."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given, _, order = self.make_parser(ctx).parse_args(args=list(args))
        left = super().parse_args(ctx, args)
        names = [one.name for one in order if isinstance(one, click.Option) and one.multiple and one.name]
        values = {name: iter(given[name]) for name in names}
        ctx.params[ORDERED] = tuple((name, next(values[name])) for name in names)
        return left
