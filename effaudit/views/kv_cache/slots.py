"""The inputs and outputs that hold the keys and values of one attention layer."""

from __future__ import annotations

import msgspec

from effaudit.views.attentions import Attended, Scope
from effaudit.views.kv_cache import operators
from effaudit.views.kv_cache.named import is_cache_name
from effaudit.views.kv_cache.trace import handed, trace
from effaudit.views.kv_cache.types import BOTH, KEY, VALUE


class Slot(msgspec.Struct, frozen=True):
    """A role of a layer: the input and output (or "") that hold its keys or values, and the axis of their length."""

    role: str
    past: str
    present: str
    axis: int | None
    grows: bool

    @property
    def name(self) -> str:
        """That of the input, or of the output where there is no input."""
        return self.past or self.present


def slots_of(scope: Scope, layer: Attended) -> list[Slot]:
    """The slots of a layer; one tensor with keys and values is one slot."""
    slots: list[Slot] = []
    for core in layer.cores:
        if core.fused is not None:
            slots.extend(_fused_slots(scope, core.fused))
        if not slots:
            for role, names in ((KEY, core.k), (VALUE, core.v)):
                for name in names:
                    slots.extend(_traced(scope, role, name))
    merged: dict[tuple[str, str], Slot] = {}
    for slot in slots:
        key = slot.past, slot.present
        other = merged.get(key)
        if other is None or other.role == slot.role:
            merged[key] = slot
        else:
            merged[key] = msgspec.structs.replace(slot, role=BOTH, axis=slot.axis if slot.axis == other.axis else None)
    if not all(slot.grows for slot in merged.values()) and not _queries_made(scope, layer):
        return []
    return list(merged.values())


def _fused_slots(scope: Scope, i: int) -> list[Slot]:
    s, node = scope.signal, scope.signal.nodes[i]
    slots = []
    for place in operators.places(node):
        out = node.outputs[place.present] if place.present < len(node.outputs) else ""
        presents = handed(scope, out) if out else ()
        past = s.input(i, place.past)
        origins = trace(scope, past, past=True).origins if past else ()
        if origins:
            slots.append(Slot(place.role, origins[0].name, next(iter(presents), ""), place.axis, True))
        elif presents:
            slots.append(Slot(place.role, "", presents[0], place.axis, True))
    return slots


def _traced(scope: Scope, role: str, operand: str) -> list[Slot]:
    """The caches behind an operand: inputs that grow into an output (or are named like a cache), or reach it whole."""
    behind = trace(scope, operand)
    slots = []
    for origin in behind.origins:
        present = next(iter(origin.presents), "")
        if not _is_data(scope, origin.inner):
            continue
        if origin.grows and (present or is_cache_name(origin.name)):
            slots.append(Slot(role, origin.name, present, origin.axis, True))
        elif not origin.grows:
            slots.append(Slot(role, origin.name, "", None, False))
    return slots or [Slot(role, "", name, None, True) for name in behind.presents[:1]]


def _is_data(scope: Scope, name: str) -> bool:
    """False for lengths, masks and positions: keys and values have three axes at least."""
    value = scope.signal.graph.values.get(name)
    return value is not None and value.shape is not None and len(value.shape) >= 3


def _queries_made(scope: Scope, layer: Attended) -> bool:
    """False for bare products of inputs, whose keys are no more a cache than their queries."""
    return any(not any(not o.grows for o in trace(scope, name).origins) for name in layer.cores[0].q)
