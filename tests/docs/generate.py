"""`python -m tests.docs.generate`: rewrites what the documentation takes from the program."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from effaudit.explain import formulas
from tests.corpus.score import folder
from tests.render import goldens
from tests.render.before_after import goldens as whatif_goldens
from tests.render.fit import goldens as fit_goldens

from . import console, devices, figures, operators, runtimes, structs, validation

OPERATORS = console.ROOT / "docs" / "operators.md"
VALIDATION = console.ROOT / "docs" / "validation.md"
FORMULAS = console.ROOT / "docs" / "formulas.md"
JSON = console.ROOT / "docs" / "json.md"
JSON_MEMORY = console.ROOT / "docs" / "json-memory.md"
JSON_FIT = console.ROOT / "docs" / "json-fit.md"
JSON_WHATIF = console.ROOT / "docs" / "json-whatif.md"
JSON_SWEEP = console.ROOT / "docs" / "json-sweep.md"
JSON_TIME = console.ROOT / "docs" / "json-time.md"
RUNTIMES = console.ROOT / "docs" / "runtimes.md"
DEVICES = console.ROOT / "docs" / "devices.md"
EXPLAIN = console.ROOT / "docs" / "explain.md"
_PART = re.compile(r"(?<=^<!-- generated: )(\w+)( -->\n).*?(?=^<!-- end -->$)", re.DOTALL | re.MULTILINE)


def main() -> None:
    """Rewrites the files that changed and names them."""
    _write(OPERATORS, operators.page())
    _write(FORMULAS, formulas.page())
    _write(JSON, filled(JSON.read_text(encoding="utf-8"), {"views": structs.sections()}))
    _write(JSON_MEMORY, filled(JSON_MEMORY.read_text(encoding="utf-8"), {"memory": structs.memory_sections()}))
    _write(JSON_FIT, filled(JSON_FIT.read_text(encoding="utf-8"), {"fit": structs.fit_sections()}))
    _write(JSON_WHATIF, filled(JSON_WHATIF.read_text(encoding="utf-8"), {"whatif": structs.whatif_sections()}))
    _write(JSON_SWEEP, filled(JSON_SWEEP.read_text(encoding="utf-8"), {"sweep": structs.sweep_sections()}))
    _write(JSON_TIME, filled(JSON_TIME.read_text(encoding="utf-8"), {"time": structs.time_sections()}))
    _write(EXPLAIN, filled(EXPLAIN.read_text(encoding="utf-8"), {"figures": figures.table()}))
    _write(RUNTIMES, filled(RUNTIMES.read_text(encoding="utf-8"), {"runtimes": runtimes.sections()}))
    _write(DEVICES, filled(DEVICES.read_text(encoding="utf-8"), devices.parts()))
    corpus = folder()
    if corpus is None:
        print("docs/validation.md left alone: no corpus (EFFAUDIT_CORPUS names its folder)", file=sys.stderr)
    else:
        _write(VALIDATION, filled(VALIDATION.read_text(encoding="utf-8"), validation.tables(corpus)))
    goldens.main()
    fit_goldens.main()
    whatif_goldens.main()
    for page in console.pages():
        _write(page, console.renewed(page.read_text(encoding="utf-8")))


def filled(page: str, parts: Mapping[str, str]) -> str:
    """A page with its parts between `<!-- generated: NAME -->` and `<!-- end -->` replaced."""
    return _PART.sub(lambda part: f"{part[1]}{part[2]}\n{parts[part[1]]}\n\n", page)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(console.ROOT))


if __name__ == "__main__":
    main()
