"""What `effaudit whatif` prints, kept as files: `python -m tests.render.before_after.goldens` rewrites them.

The what-if is one of a few lines (tests/whatif/stub.py), so that these files change with the renderers alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from effaudit.audited import examine
from effaudit.before_after.asked import StepsAsked
from effaudit.before_after.model import before_after, document
from effaudit.before_after.types import ModelSteps, WhatIfDocument
from effaudit.fit.asked import FitAsked
from effaudit.render.before_after import render
from effaudit.tables.table import Shown
from effaudit.whatif.types import Step
from tests.whatif import stub

from ..fit.goldens import device
from ..goldens import cut

FOLDER = Path(__file__).parent / "goldens"
KEPT = 90  # lines
FORMATS = ("text", "json", "markdown", "csv")


def model(name: str, *written: str, asked: StepsAsked = StepsAsked()) -> ModelSteps:
    """A model after steps of the stub."""
    with pytest.MonkeyPatch.context() as patch:
        stub.register(patch)
        steps = [Step("bind", stub.parse(one)) for one in written]
        return before_after(examine(name), steps, asked)[0]


def _steps() -> WhatIfDocument:
    return document([model("sample:ic", "batch=4,blocked=3", "batch=2,details=5")])


def _devices() -> WhatIfDocument:
    asked = StepsAsked((device("board"), device("card")), FitAsked())
    return document([model("sample:ic", "batch=8", asked=asked)])


def _ranges() -> WhatIfDocument:
    return document([model("sample:decoder-gqa", "batch=4", asked=StepsAsked(fit=FitAsked(runtime="ort")))])


def _several() -> WhatIfDocument:
    asked = StepsAsked((device("board"),), FitAsked())
    return document([model(f"sample:{name}", "batch=2", asked=asked) for name in ("kws", "ic-int8")])


MAKE: dict[str, Callable[[], WhatIfDocument]] = {
    "steps": _steps,
    "devices": _devices,
    "ranges": _ranges,
    "several": _several,
}
# name -> (document, lists, formats)
SHOWN: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "steps": ("steps", (), FORMATS),
    "details": ("steps", ("details",), ("text", "markdown", "csv")),
    "devices": ("devices", (), FORMATS),
    "ranges": ("ranges", (), ("text", "markdown", "csv")),
    "several": ("several", (), ("text", "markdown", "csv")),
}


@cache
def made(name: str) -> WhatIfDocument:
    return MAKE[name]()


def printed(name: str, form: str) -> str:
    """The whole document."""
    which, lists, _ = SHOWN[name]
    return "".join(render(form, made(which), Shown(lists)))


def golden(name: str, form: str) -> str:
    """The document, cut where it is long."""
    return cut(printed(name, form), KEPT)


def cases() -> list[tuple[str, str]]:
    return [(name, form) for name, (_, _, forms) in SHOWN.items() for form in forms]


def path(name: str, form: str) -> Path:
    return FOLDER / f"{name}.{form}"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for case in cases():
        file, text = path(*case), golden(*case)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            print(file.relative_to(FOLDER))


if __name__ == "__main__":
    main()
