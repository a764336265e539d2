"""What every format prints for every sample, kept as files: `python -m tests.render.goldens` rewrites them.

The numbers in them are checked elsewhere, against sources of their own (tests/samples, tests/laws, tests/corpus); these
files show a reader what a change does to every document. Of a long document the beginning is kept, and a digest of all.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from effaudit.load.files import sample_names
from effaudit.render import render
from effaudit.report import ModelReport, audit, report
from effaudit.tables.table import Shown

FOLDER = Path(__file__).parent / "goldens"
FORMATS = ("text", "json", "jsonl", "csv", "markdown", "latex", "html")
KEPT = 60  # lines
COLUMNS = 400  # of a line


def path(sample: str, form: str) -> Path:
    return FOLDER / sample / f"report.{form}"


@cache
def _audited(sample: str) -> ModelReport:
    return audit(f"sample:{sample}")


def golden(sample: str, form: str) -> str:
    """The document, cut where it is long."""
    document = report([_audited(sample)])
    text = "".join(render(form, document, Shown()))
    text = text.replace(f'"version": "{document.version}"', '"version": "VERSION"')
    lines = text.splitlines()
    if len(lines) <= KEPT and all(len(line) <= COLUMNS for line in lines):
        return text
    kept = [line if len(line) <= COLUMNS else f"{line[:COLUMNS]} ... {len(line)} columns" for line in lines[:KEPT]]
    digest = hashlib.sha256(text.encode()).hexdigest()
    return "\n".join([*kept, f"... {len(lines)} lines in all, sha256 {digest}"]) + "\n"


def cases() -> list[tuple[str, str]]:
    return [(sample, form) for sample in sample_names() for form in FORMATS]


def main() -> None:
    for sample, form in cases():
        file, text = path(sample, form), golden(sample, form)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(file.relative_to(FOLDER))


if __name__ == "__main__":
    main()
