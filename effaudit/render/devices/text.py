"""Text for a terminal: a row per device, or a page for each that is shown."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.device.document import DevicesDocument
from effaudit.printable import printable
from effaudit.render.devices.page import page
from effaudit.render.plain import table
from effaudit.tables.devices import BRIEF, devices
from effaudit.tables.table import Shown, arranged
from effaudit.wrapping import wrapped


def render(document: DevicesDocument, shown: Shown) -> Iterator[str]:
    """What cannot be used stands below, with the reason."""
    if document.profiles:
        for i, profile in enumerate(document.profiles):
            yield "\n".join([*([""] if i else []), *page(profile)]) + "\n"
        return
    broken = [one for one in document.devices if one.problem]
    count = len(document.devices) - len(broken)
    yield f"{count} device{'' if count == 1 else 's'}; activations: the largest region without a gap\n"
    yield from table(arranged(devices(document, broken=False), Shown(columns=BRIEF)), shown.width)
    for one in broken:
        yield "\n" + "\n".join(wrapped(f"{printable(one.name, 60)}  ", f"cannot be used: {one.problem}", 4)) + "\n"
    yield "\nnext   effaudit devices show NAME\n       effaudit fit MODEL --device NAME\n"
