"""`effaudit explain`: where a number comes from."""

from __future__ import annotations

import click

from effaudit.cli.options import definitions, document_options, formats, given, items, model_options
from effaudit.cli.output import check, emit
from effaudit.errors import UsageError

FORMATS = ("text", "json")


@click.command("explain")
@click.argument("words", nargs=-1, metavar="[MODEL] WHAT [NAME=VALUE]...")
@model_options
@click.option(
    "--list",
    "listed",
    is_flag=False,
    flag_value="all",
    metavar="[KIND]",
    help="Name all there is to explain, or say what each is: figures, formulas, operators, notes.",
)
@document_options(FORMATS)
def command(
    words: tuple[str, ...],
    dim: tuple[str, ...],
    shape: tuple[str, ...],
    operators: tuple[str, ...],
    listed: str | None,
    forms: tuple[str, ...],
    as_json: bool,
    output: str | None,
) -> int:
    """The formula behind a number, with its numbers put in.

    WHAT is a figure of a report (macs, live), a node of MODEL, an operator (Conv), a named formula (kv-cache-bytes) or
    a note (dims-assumed); --list names them. An operator or a formula is calculated for the sizes given as NAME=VALUE,
    without any model.

    \b
    effaudit explain sample:ic live
    effaudit explain sample:ic stem/conv/Conv
    effaudit explain Conv cin=64 cout=128 k=3 out=56x56
    effaudit explain kv-cache-bytes
    """
    wanted = formats(forms, as_json, output, FORMATS)
    check((path for _, path in wanted), (*words, *items(operators)))
    sizes, own = given(dim, shape), definitions(operators)
    from effaudit.audited import Audited, examine
    from effaudit.explain.catalogue import KINDS, catalogue
    from effaudit.explain.subject import Explained, explain
    from effaudit.render.explanation import render

    def examined(name: str) -> Audited:
        return examine(name, sizes, own)

    if listed is not None:
        if words:
            raise UsageError(
                f"--list goes without {words[0]!r}; expected one of {', '.join(KINDS)}, or nothing for all"
            )
        explained = Explained(catalogue(listed, own or {}))
    else:
        named = [word for word in words if not _is_argument(word)]
        explained = explain(named, _arguments(words), examined, own or {})
    for form, path in wanted:
        emit(render(form, explained), path)
    return 0


def _is_argument(word: str) -> bool:
    name, sign, _ = word.partition("=")
    return bool(sign) and name.replace("_", "a").replace("-", "a").replace(".", "a").isalnum()


def _arguments(words: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in filter(_is_argument, words):
        name, _, value = word.partition("=")
        if name in found:
            raise UsageError(f"{name} is given twice, as {found[name]} and {value}")
        found[name] = value
    return found
