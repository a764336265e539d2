"""How much of its caches a machine leaves to tensors: what makes the measured times fit best.

The size that the system states is an upper end: the last level is shared with other cores and, on a rented machine,
with other tenants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from effaudit.calibrate.fit import fit
from effaudit.calibrate.measure import NetSample
from effaudit.estimate.terms import Caches

_NEAR: Final = 0.75  # of a core's own cache
_SHARES: Final = (0.5, 1.0, 0.25, 0.125)  # of the last level, to choose from; the first unless another is better
_BETTER: Final = 0.97  # times as much is left unexplained: less is noise
_ROUNDS: Final = 2  # of reweighting: enough to tell which is better
_CORE_BYTES: Final = 1 << 20  # where the system does not tell
_ALL_BYTES: Final = 16 << 20


def stated(caches: Mapping[str, int]) -> tuple[int, int]:
    """(bytes of a core's own cache, of the last level) as the system names them, or what most machines have."""
    own = caches.get("L2") or caches.get("L1d") or _CORE_BYTES
    return own, max(caches.get("L3", 0), own) if caches.get("L3") else max(_ALL_BYTES, own)


def effective(nets: Sequence[NetSample], caches: Mapping[str, int], threads: int) -> Caches:
    """The caches, for one core and for all, by which the networks are explained best."""
    own, last = stated(caches)
    near = own * _NEAR
    found = {
        share: fit(nets, Caches(near * threads, max(last * share, near * threads)), _ROUNDS).loss for share in _SHARES
    }
    best, usual = min(found, key=lambda share: found[share]), _SHARES[0]
    best = best if found[best] < _BETTER * found[usual] else usual
    return Caches(near, max(last * best, near))
