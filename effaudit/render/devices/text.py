"""Text for a terminal: a table of devices per class, or a page for each that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

import msgspec

from effaudit.device.document import DevicesDocument
from effaudit.device.types import Kind
from effaudit.printable import printable
from effaudit.render.devices.page import page
from effaudit.render.plain import table
from effaudit.tables.devices import devices
from effaudit.tables.table import Shown, arranged
from effaudit.wrapping import WIDTH, wrapped

_KINDS: Final[tuple[str, ...]] = get_args(Kind)
_COLUMNS: Final = ("name", "activation_contiguous_bytes", "weight_bytes", "runtime")  # one line a row


def render(document: DevicesDocument, shown: Shown) -> Iterator[str]:
    """What cannot be used stands below, with the reason."""
    if document.profiles:
        for i, profile in enumerate(document.profiles):
            yield "\n".join([*([""] if i else []), *page(profile)]) + "\n"
        return
    broken = [one for one in document.devices if one.problem]
    count = len(document.devices) - len(broken)
    yield f"{count} device{'' if count == 1 else 's'}; arena: the largest region for activations without a gap\n"
    for kind in sorted({one.kind for one in document.devices if not one.problem}, key=_KINDS.index):
        yield from _class(document, kind, shown.width)
    if broken:
        yield "\ncannot be used\n"
    for one in broken:
        yield "\n".join([f"  {printable(one.name, WIDTH - 2)}", *wrapped("    ", one.problem)]) + "\n"
    yield "\nnext   effaudit devices show NAME\n       effaudit fit MODEL --device NAME\n"


def _class(document: DevicesDocument, kind: str, width: int) -> Iterator[str]:
    """The devices of a class: a row of the table each, and below it what it is and what else it is called."""
    same = tuple(one for one in document.devices if one.kind == kind and not one.problem)
    made = arranged(devices(msgspec.structs.replace(document, devices=same)), Shown(columns=_COLUMNS))
    lines = list(table(msgspec.structs.replace(made, title=kind), width))
    yield from lines[: -len(same)]
    for one, line in zip(same, lines[-len(same) :], strict=True):
        names = f"; also {', '.join(one.aliases)}" if one.aliases else ""
        yield line + "\n".join(wrapped("    ", f"{one.title}{names}")) + "\n"
