"""What every format prints for every sample, kept as files: `python -m tests.render.goldens` rewrites them.

The numbers in them are checked elsewhere, against sources of their own (tests/samples, tests/laws, tests/corpus); these
files show a reader what a change does to every document. Of a long document the beginning is kept, and a digest of all.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from effaudit import __version__
from effaudit.audited import Audited, examine
from effaudit.load.files import sample_names
from effaudit.memory.asked import Asked
from effaudit.memory.model import describe as planned
from effaudit.memory.model import memory
from effaudit.memory.types import ModelMemory
from effaudit.render import render
from effaudit.render.memory import render as render_memory
from effaudit.report import ModelReport, describe, report
from effaudit.tables.table import Shown

FOLDER = Path(__file__).parent / "goldens"
FORMATS = {
    "report": ("text", "json", "jsonl", "csv", "markdown", "latex", "html"),
    "memory": ("text", "json", "csv", "markdown", "svg"),
}
KEPT = 60  # lines
COLUMNS = 400  # of a line


def path(sample: str, command: str, form: str) -> Path:
    return FOLDER / sample / f"{command}.{form}"


@cache
def _audited(sample: str) -> Audited:
    return examine(f"sample:{sample}")


@cache
def _report(sample: str) -> ModelReport:
    return describe(_audited(sample))


@cache
def _memory(sample: str) -> ModelMemory:
    """As written; the quantized ones as TFLM runs them, which they are made for."""
    return planned(_audited(sample), Asked(runtime="tflm" if sample.endswith("-int8") else "as-written"))


def golden(sample: str, command: str, form: str) -> str:
    """The document, cut where it is long."""
    if command == "memory":
        pieces = render_memory(form, memory([_memory(sample)]), Shown())
    else:
        pieces = render(form, report([_report(sample)]), Shown())
    return cut("".join(pieces), KEPT)


def cut(document: str, most: int) -> str:
    """A document without its version, and where it is long its first lines and columns, and a digest of all."""
    text = document.replace(f'"version": "{__version__}"', '"version": "VERSION"')
    lines = text.splitlines()
    if len(lines) <= most and all(len(line) <= COLUMNS for line in lines):
        return text
    kept = [line if len(line) <= COLUMNS else f"{line[:COLUMNS]} ... {len(line)} columns" for line in lines[:most]]
    digest = hashlib.sha256(text.encode()).hexdigest()
    return "\n".join([*kept, f"... {len(lines)} lines in all, sha256 {digest}"]) + "\n"


def cases() -> list[tuple[str, str, str]]:
    return [(sample, command, form) for sample in sample_names() for command in FORMATS for form in FORMATS[command]]


def main() -> None:
    for case in cases():
        file, text = path(*case), golden(*case)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(file.relative_to(FOLDER))


if __name__ == "__main__":
    main()
