"""The smallest change after which a model fits a device.

Along each of two scales, smaller images and fewer channels, a model only gets smaller. So in each element type the
changes that fit lie on one side of a staircase, and its steps are found with few trials: for every image size the
least pruning that fits, by bisection, never more than the next larger image needed. Every point is a real rewrite,
audited and judged as any model is; monotony decides only which points are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from effaudit.audited import Audited
from effaudit.checks import results
from effaudit.device.types import Device
from effaudit.fit.asked import FitAsked
from effaudit.fit.knobs import failed_in
from effaudit.fit.subject import subject_of
from effaudit.fit.types import Suggestion, Suggestions
from effaudit.search.moves import CHANNELS, quantized, shrunk, thinned
from effaudit.search.tried import Made, Tried, judged, with_step
from effaudit.whatif import text
from effaudit.whatif.types import Step

MOST: Final = 5  # of the front that are shown
MANY: Final = 60  # about as many changes as are tried at the most


def suggest(
    audited: Audited, device: Device, asked: FitAsked, words: Sequence[str], tell: Callable[[int], None]
) -> Suggestions:
    """What would make the model fit. `words` name the model, the device and all that is asked of it, `tell` hears how
    many changes were tried so far. Raises UsageError for what the device does not have."""
    before = results(subject_of(audited, device, asked))
    search = _Search(audited, device, asked, failed_in(before), tell)
    for types in quantized(audited, device):
        search.staircase(types)
    search.refine()
    fitting = sorted((one for one in search.tried.values() if one.fits), key=_order)
    front = [one for one in fitting if not any(_beats(other, one) for other in fitting)]
    shown = tuple(_suggestion(one, words) for one in front[:MOST])
    return Suggestions(shown[0] if shown else None, shown, len(search.tried), "" if shown else search.why)


class _Search:
    """What was made and judged so far, by the text of its steps; nothing is made twice."""

    def __init__(
        self,
        audited: Audited,
        device: Device,
        asked: FitAsked,
        failed: frozenset[str],
        tell: Callable[[int], None],
    ) -> None:
        self.audited, self.device, self.asked, self.failed, self.tell = audited, device, asked, failed, tell
        self.made: dict[tuple[str, ...], Made | str] = {(): Made(audited)}
        self.tried: dict[tuple[str, ...], Tried] = {}
        self.why = ""
        self.sizes, self.widths = shrunk(audited), (0, *CHANNELS)
        self.points: dict[tuple[str, ...], tuple[int, int, tuple[Step, ...]]] = {}

    def staircase(self, types: tuple[Step, ...]) -> None:
        """The steps of the staircase in one element type."""
        most = len(self.widths) - 1
        if not any(self._fits(size, most, types) for size in (len(self.sizes) - 1, 0)):
            return
        for size in range(len(self.sizes)):
            least = self._least(size, most, types)
            if least is not None:
                most = least
            if most == 0:
                return

    def _least(self, size: int, most: int, types: tuple[Step, ...]) -> int | None:
        """The least pruning, up to `most`, that fits at a size of the image; None where none does."""
        if self._fits(size, 0, types):
            return 0
        if not self._fits(size, most, types):
            return None
        return self._between(0, most, lambda width: self._fits(size, width, types))

    def _between(self, low: int, high: int, fits: Callable[[int], bool]) -> int:
        """The least that fits, where `low` does not and `high` does."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fits(middle) else (middle, high)
        return high

    def refine(self) -> None:
        """The change that loses least, with as few channels less as fit, to a per cent."""
        best = min((one for one in self.tried.items() if one[1].fits), key=lambda one: _order(one[1]), default=None)
        if best is None:
            return
        size, percent, types = self.points[best[0]]
        if percent:
            below = max(share for share in self.widths if share < percent)
            self._between(below, percent, lambda share: self._holds(size, share, types))

    def _fits(self, size: int, width: int, types: tuple[Step, ...]) -> bool:
        return self._holds(size, self.widths[width], types)

    def _holds(self, size: int, percent: int, types: tuple[Step, ...]) -> bool:
        steps = (*self.sizes[size], *thinned(self.audited, percent), *types)
        key = tuple(map(text, steps))
        self.points[key] = (size, percent, types)
        if key not in self.tried:
            made = self._make(steps)
            if isinstance(made, str):
                self.why = made
                return False
            self.tried[key] = judged(made, self.device, self.asked, self.failed)
            self.why = self.tried[key].why or self.why
            self.tell(len(self.tried))
        return self.tried[key].fits

    def _make(self, steps: tuple[Step, ...]) -> Made | str:
        key = tuple(map(text, steps))
        if key not in self.made:
            shorter = self._make(steps[:-1])
            self.made[key] = shorter if isinstance(shorter, str) else with_step(shorter, steps[-1])
        return self.made[key]


def _order(one: Tried) -> tuple[float, int, int]:
    return one.rank, len(one.made.steps), one.weight_bytes


def _beats(one: Tried, other: Tried) -> bool:
    """No worse anywhere, and better somewhere; of equals, the one with fewer steps."""
    if one is other:
        return False
    first, second = _figures(one), _figures(other)
    if first == second:
        return _order(one) < _order(other)
    return all(a <= b for a, b in zip(first, second, strict=True))


def _figures(one: Tried) -> tuple[float, ...]:
    return one.rank, one.weight_bytes, one.macs or 0, one.arena.low if one.arena.high is None else one.arena.high


def _suggestion(one: Tried, words: Sequence[str]) -> Suggestion:
    steps = tuple(text(step) for step in one.made.steps)
    options = [word for step in steps for word in step.split(" ", 1)]
    return Suggestion(
        steps=steps,
        options=one.options,
        command=("effaudit", "whatif" if steps else "fit", *words, *options, *one.options),
        loss=one.loss,
        retrain=one.made.retrain,
        params=one.params,
        weight_bytes=one.weight_bytes,
        macs=one.macs,
        arena_bytes=one.arena.value,
        arena_bounds=(one.arena.low, one.arena.high),
        latency_s=one.latency_s,
        notes=one.made.notes,
    )
