"""What a model needs of each memory of a device, item by item, against what there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from effaudit.device.contiguous import in_largest, largest_contiguous, total_size
from effaudit.device.types import Device, DeviceRuntime, Fact, Memory
from effaudit.errors import UsageError
from effaudit.estimate.memories import activations_in, holding
from effaudit.estimate.status import Status, worst
from effaudit.graph import Graph
from effaudit.memory.planned import Planned
from effaudit.nearest import did_you_mean
from effaudit.quantity import TOO_LARGE, Quantity, add, larger
from effaudit.units import MAX_FIGURE
from effaudit.weights import BUFFER, PARAM, classify

WEIGHTS: Final = "weights"
SCALES: Final = "scales and zero points"
TABLES: Final = "tables of the runtime"
CODE: Final = "code of the runtime"
ARENA: Final = "arena"
Place: TypeAlias = Literal["piece", "anywhere", "elsewhere"]
STATE: Final = "state of the runtime"
STORED: Final = (WEIGHTS, SCALES, TABLES)  # what fills the memories of weights


class Item(msgspec.Struct, frozen=True):
    """Bytes that something takes in a memory. `place`: "piece" has to be contiguous with all that is so, "anywhere" may
    lie in that region or in another (a linker decides), "elsewhere" lies in another."""

    what: str
    bytes: Quantity
    place: Place = "piece"
    basis: str = ""


class Demand(msgspec.Struct, frozen=True):
    """A memory, what has to lie in it, and what it has: `have` in all, `contiguous` in one piece."""

    memory: Memory
    items: tuple[Item, ...]

    @property
    def have(self) -> int | None:
        return total_size(self.memory)

    @property
    def contiguous(self) -> int | None:
        return largest_contiguous(self.memory)

    def status(self) -> Status:
        """All of it against the size, and what has to be contiguous against the largest region: each at its most
        against the least there may be passes, at its least against the most there may be fails."""
        return worst(self.whole(), self.piece())

    def whole(self) -> Status:
        """All of it against the size."""
        return _held(self.need, total_size(self.memory, "low"), total_size(self.memory, "high"))

    def piece(self) -> Status:
        """What has to be contiguous against the largest region."""
        least, most = largest_contiguous(self.memory, "low"), largest_contiguous(self.memory, "high")
        return _held(self.together, least, most)

    @property
    def need(self) -> Quantity:
        return add(item.bytes for item in self.items)

    def has(self, what: str) -> bool:
        """True where it holds such an item."""
        return any(item.what == what for item in self.items)

    def bytes_of(self, *whats: str) -> int:
        """The least bytes of such items."""
        return sum(item.bytes.low for item in self.items if item.what in whats)

    @property
    def together(self) -> Quantity:
        """What lies in one piece: at the least what has to, at the most all that may."""
        least = add(item.bytes for item in self.items if item.place == "piece")
        most = add(item.bytes for item in self.items if item.place != "elsewhere")
        return Quantity(least.low, most.high, least.why or most.why)


def _held(need: Quantity, least: int | None, most: int | None) -> Status:
    if most is not None and need.low > most:
        return "fail"
    return "pass" if least is not None and need.high is not None and need.high <= least else "unknown"


def weight_items(graph: Graph, scales: int) -> tuple[Item, ...]:
    """The bytes of the constants of a lowered graph, itemised. `scales` are those of the scales and zero points of the
    file: lowering folds them into the types of tensors, a runtime stores them all the same."""
    items = (Item(WEIGHTS, _exact(classify(graph).bytes_of(PARAM, BUFFER)), place="anywhere"),)
    return (*items, Item(SCALES, _exact(scales), place="anywhere")) if scales else items


def demands(
    device: Device, runtime: DeviceRuntime, planned: Planned, reserved: Iterable[tuple[str, Item]], scales: int = 0
) -> tuple[Demand, ...]:
    """One for every memory that something lies in; `reserved` are what the user keeps, with the name of its memory,
    `scales` as in `weight_items`. What is kept goes first, then the arena, then code, then weights: these fill the
    memories that may hold them one after the other."""
    items: dict[str, list[Item]] = {memory.name: [] for memory in device.memories}
    for name, item in kept(device, reserved):
        items[name].append(item)
    home = _home(device, (running := list(_running(runtime, planned))), items)
    if home is not None:
        items[home.name] += running
    _code(device, runtime, items)
    _weights(device, [*weight_items(planned.graph, scales), *_tables(runtime, planned)], items)
    followed = {name: tuple(map(_followed, found)) for name, found in items.items()}
    return tuple(Demand(memory, followed[memory.name]) for memory in device.memories if followed[memory.name])


def kept(device: Device, reserved: Iterable[tuple[str, Item]]) -> Iterator[tuple[str, Item]]:
    """What the profile keeps, then what the user keeps, each with the name of its memory."""
    for one in device.reserved:
        yield one.memory, Item(one.what, of_fact(one.size_bytes), place="anywhere", basis="the profile")
    yield from reserved


def _followed(item: Item) -> Item:
    """The item, open upwards where its bytes are past every figure that is followed."""
    size = item.bytes
    if max(size.low, size.high or 0) <= MAX_FIGURE:
        return item
    return msgspec.structs.replace(item, bytes=Quantity(min(size.low, MAX_FIGURE), None, size.why or TOO_LARGE))


def joined(device: Device, several: Sequence[Sequence[Demand]]) -> tuple[Demand, ...]:
    """The demands of models that run one after the other: what is stored is there of all of them, anything else as
    large as the largest takes it."""
    items: dict[str, dict[str, Item]] = {memory.name: {} for memory in device.memories}
    stored: dict[str, Item] = {}
    for demands_of_one in several:
        own: dict[str, Item] = {}
        for demand in demands_of_one:
            for item in demand.items:
                if item.what in STORED:
                    before = own.get(item.what)
                    own[item.what] = item if before is None else _with(item, add((before.bytes, item.bytes)))
                else:
                    known = items[demand.memory.name].get(item.what)
                    largest = item.bytes if known is None else larger(known.bytes, item.bytes)
                    items[demand.memory.name][item.what] = _with(item, largest)
        for what, item in own.items():
            stored[what] = _with(item, add((stored[what].bytes, item.bytes))) if what in stored else item
    lists = {name: list(found.values()) for name, found in items.items()}
    _weights(device, list(stored.values()), lists)
    return tuple(Demand(memory, tuple(lists[memory.name])) for memory in device.memories if lists[memory.name])


def _with(item: Item, size: Quantity) -> Item:
    return msgspec.structs.replace(item, bytes=size)


def _home(device: Device, running: Sequence[Item], items: Mapping[str, Sequence[Item]]) -> Memory | None:
    """The memory of the arena: the first that surely holds it beside what is kept there, else the largest."""
    memories = holding(device, "activations")
    for memory in memories:
        if Demand(memory, (*items[memory.name], *running)).status() == "pass":
            return memory
    return max(memories, key=lambda memory: largest_contiguous(memory) or 0, default=None)


def _code(device: Device, runtime: DeviceRuntime, items: Mapping[str, list[Item]]) -> None:
    """The code of the runtime, in the first memory that holds code."""
    home = next(iter(holding(device, "code")), None)
    if home is not None:
        unknown = Quantity(0, None, f"the profile states no code_bytes of {runtime.name}")
        size = unknown if runtime.code_bytes is None else of_fact(runtime.code_bytes)
        items[home.name].append(Item(CODE, size, place="anywhere", basis=_basis(runtime.code_bytes)))


def _weights(device: Device, stored: Sequence[Item], items: Mapping[str, list[Item]]) -> None:
    """As much as fits in the first memory that holds weights, the rest in the next; the last takes what is left. Where
    what lies there already is a range, so is what fits beside it."""
    memories, total = holding(device, "weights"), sum(item.bytes.low for item in stored)
    left = [total, total]  # where least lies there already, and where most does
    for i, memory in enumerate(memories):
        here = list(left)
        if i < len(memories) - 1:
            room = total_size(memory) or 0
            taken = add(item.bytes for item in items[memory.name])
            rooms = (room - taken.low, room - (room if taken.high is None else taken.high))
            here = [min(max(space, 0), rest) for space, rest in zip(rooms, left, strict=True)]
        left = [rest - size for rest, size in zip(left, here, strict=True)]
        if not any(here) and total:
            continue
        for item in stored:
            items[memory.name].append(msgspec.structs.replace(item, bytes=_part(item.bytes, sorted(here), total)))
        if not any(left):
            break


def _part(size: Quantity, here: Sequence[int], total: int) -> Quantity:
    """The part of something that lies in a memory, where so many bytes of all `total` do."""
    if not total or list(here) == [total, total]:
        return size
    low, high = (-(-size.low * some // total) for some in here)
    return Quantity(low, None if size.high is None else high, size.why or "how much fits beside the rest")


def _tables(runtime: DeviceRuntime, planned: Planned) -> Iterator[Item]:
    count = {
        "table_bytes_per_node": planned.flow.running,
        "table_bytes_per_tensor": len(planned.graph.constants) + len(planned.need.storages),
    }
    size, any_stated = Quantity(0, 0), False
    for key, times in count.items():
        fact: Fact | None = getattr(runtime, key)
        if fact is not None:
            any_stated = True
            one = of_fact(fact)
            size = add((size, Quantity(one.low * times, None if one.high is None else one.high * times, one.why)))
    if any_stated:
        yield Item(TABLES, size, place="anywhere", basis="the profile")


def _running(runtime: DeviceRuntime, planned: Planned) -> Iterator[Item]:
    """What changes while the model runs: the arena, and the state of the runtime."""
    arena = planned.with_workspaces or planned.arena
    yield Item(ARENA, arena, basis=f"planner {planned.asked.planner or planned.runtime.planner}")
    kept = planned.runtime.kept(planned.graph)
    if kept is not None:
        yield Item("persistent", kept, basis=f"rules {planned.runtime.name}")
    if runtime.state_bytes is not None:
        yield Item(STATE, of_fact(runtime.state_bytes), place="anywhere", basis=_basis(runtime.state_bytes))
    elif kept is None or planned.with_workspaces is None:
        why = f"the profile states no state_bytes of {runtime.name}, and its rules count none"
        yield Item(STATE, Quantity(0, None, why), place="anywhere")


def with_arena(demand: Demand, arena: int, made: Planned) -> Demand:
    """The same memory with another arena; what workspaces took on top of the old one is kept."""
    whole, old = made.with_workspaces or made.arena, made.arena
    low = arena + max(whole.low - old.low, 0)
    high = None if whole.high is None or old.high is None else arena + max(whole.high - old.high, 0)
    size = Quantity(low, None if high is None else max(high, low), whole.why)
    items = tuple(msgspec.structs.replace(item, bytes=size) if item.what == ARENA else item for item in demand.items)
    return msgspec.structs.replace(demand, items=items)


def of_fact(fact: Fact) -> Quantity:
    """A fact in whole bytes."""
    high = fact.most
    low = int(fact.least)
    if high is None:
        return Quantity(low, None, fact.note or "the profile does not know it")
    return Quantity(low, int(high), "" if low == int(high) else fact.note or "a range in the profile")


def _basis(fact: Fact | None) -> str:
    return "" if fact is None else f"{fact.status}: {fact.source}"


def _exact(size: int) -> Quantity:
    return Quantity(size, size)


def place_named(device: Device, name: str) -> tuple[Memory, Place]:
    """A memory, and where in it: by its own name or a word for what it does (sram, ram, dram, vram, hbm: activations;
    flash, rom: weights) anywhere, by the name of one of its regions there. Raises UsageError where the device has
    none of it."""
    wanted = name.lower()
    for memory in device.memories:
        if memory.name.lower() == wanted:
            return memory, "anywhere"
        for region in memory.regions:
            if region.name.lower() == wanted:
                return memory, "piece" if region.name in in_largest(memory) else "elsewhere"
    found = activations_in(device, 0) if wanted in _ACTIVATIONS else None
    if wanted in ("flash", "rom"):
        found = next((m for m in device.memories if "weights" in m.holds), None)
    if found is None:
        names = [n for m in device.memories for n in (m.name, *(r.name for r in m.regions))]
        hint = did_you_mean(wanted, names)
        raise UsageError(f"--reserve {name}: {device.name} has no such memory; it has {', '.join(names)}{hint}")
    return found, "anywhere"


_ACTIVATIONS: Final = frozenset(("sram", "ram", "dram", "vram", "hbm"))
