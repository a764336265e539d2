"""What a quantization has done so far: rows about tensors, refusals, and the errors added up."""

from __future__ import annotations

from effaudit.whatif.constants import missing
from effaudit.whatif.quantize.grid import Error
from effaudit.whatif.quantize.sites import Site
from effaudit.whatif.quantize.stored import Stored, detail
from effaudit.whatif.quantize.types import Rule
from effaudit.whatif.types import Detail


class Written:
    """What has been done so far: rows, refusals, and the errors added up."""

    def __init__(self, parameters: frozenset[str] = frozenset()) -> None:
        self.parameters = parameters  # the constants that act as weights, by name
        self.details: list[Detail] = []
        self.blocked: dict[str, str] = {}
        self.done: set[str] = set()
        self.lost = Error()
        self.unknown = 0
        self.computes = False  # something besides weights is stored otherwise
        self.unsaved: dict[str, None] = {}

    def add(self, site: Site, rule: Rule, made: Stored) -> None:
        """One tensor more."""
        self.done.add(site.constant.name)
        self.details.append(detail(site.constant, site.constant.name, rule, made))
        if made.lost is None:
            self.unknown += 1
        else:
            self.lost += made.lost
        if made.codes.missing != missing(site.constant):
            self.unsaved[made.codes.missing] = None
