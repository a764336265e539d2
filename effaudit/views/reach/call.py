"""One operator call as the rules of this view see it: shapes, numbers, and what its inputs see of the graph inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Node, Shape, Value
from effaudit.ops._shapes import axis_of, fixed_ints
from effaudit.views.reach import reach
from effaudit.views.reach.reach import Field, Reach
from effaudit.views.reach.steps import Budget, Taps


class Call:
    """A node, the values around it, and the field of each input (None: it depends on no graph input)."""

    def __init__(
        self,
        node: Node,
        values: Mapping[str, Value],
        opset: int,
        fields: Sequence[Field | None],
        budget: Budget,
        slides: set[tuple[str, int]],
    ) -> None:
        self.node = node
        self.values = values
        self.opset = opset
        self.fields = fields
        self.budget = budget
        self.slides = slides  # (graph input, axis) that an operator slides over
        self.notes: dict[str, None] = {}

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.node.attrs.get(name, default)

    def value(self, place: int) -> Value | None:
        """An input, None where it is omitted."""
        names = self.node.inputs
        return self.values[names[place]] if place < len(names) and names[place] else None

    def shape(self, place: int = 0) -> Shape:
        """The shape of an input. Raises Undecided where its rank is not known."""
        value = self.value(place)
        if value is None or value.shape is None:
            raise Undecided(value.why if value is not None and value.why else "the rank of an input is not known")
        return value.shape

    def out(self, place: int = 0) -> Shape:
        """The shape of an output. Raises Undecided where its rank is not known."""
        value = self.values[self.node.outputs[place]]
        if value.shape is None:
            raise Undecided(value.why or "the rank of an output is not known")
        return value.shape

    def ints(self, name: str, place: int) -> tuple[int, ...] | None:
        """Whole numbers that are an attribute in some versions and an input in others; None where they are not given.

        Raises Undecided where they are fed.
        """
        value = self.value(place)
        if value is not None:
            found = fixed_ints(value)
            if found is None:
                raise Undecided(f"{name} is computed from values that are not known")
            return found
        given = self.attr(name)
        return None if given is None else tuple(given) if isinstance(given, (tuple, list)) else (given,)

    def axis(self, default: int, rank: int, name: str = "axis") -> int:
        """A non-negative axis attribute."""
        return axis_of(self.attr(name, default), rank)

    def field(self, place: int) -> Field:
        """What an input sees; nothing where it depends on no graph input."""
        return (self.fields[place] if place < len(self.fields) else None) or {}

    def mapped(self, field: Field, change: Callable[[Reach], Reach]) -> Field:
        """A field with every reach changed; unknown where that raises Undecided."""
        self.budget.spend(len(field))
        return {name: tuple([self._changed(r, change) for r in reaches]) for name, reaches in field.items()}

    def _changed(self, one: Reach, change: Callable[[Reach], Reach]) -> Reach:
        return self.guarded(one, change) if one.terms else one  # else no axis of this tensor moves it

    def guarded(self, one: Reach, change: Callable[[Reach], Reach]) -> Reach:
        """`change(one)`; unknown where that raises Undecided."""
        try:
            return change(one)
        except Undecided as doubt:
            return reach.unknown(one, self.because(str(doubt)))

    def because(self, why: str) -> str:
        """A reason that says where it arose."""
        return f"{self.node.op} {self.node.label}: {why}"

    def mixed(self, field: Field, axes: Iterable[int], shape: Shape) -> Field:
        """A mixture of all positions along `axes` of a tensor of this shape."""
        chosen = tuple(axes)
        return self.mapped(field, lambda r: reach.mixed(r, chosen, shape))

    def everything(self, place: int) -> Field:
        """A mixture of all elements of an input."""
        field = self.field(place)
        if not field:
            return {}
        return self.mixed(field, range(len(self.shape(place))), self.shape(place))

    def routed(self, field: Field, shape: Shape, axes: Sequence[int | None]) -> Field:
        """Each axis of a tensor of this shape goes to an axis of the output; None: its positions are mixed."""
        lost = tuple(i for i, axis in enumerate(axes) if axis is None)
        kept = {i: axis for i, axis in enumerate(axes) if axis is not None}
        return self.mapped(field, lambda r: reach.renamed(reach.mixed(r, lost, shape), kept))

    def pointwise(self, place: int, out: int = 0) -> Field:
        """Position by position, broadcast to an output. Raises Undecided where it does not broadcast."""
        field = self.field(place)
        if not field:
            return {}
        shape, wide = self.shape(place), self.out(out)
        if shape == wide:
            return field
        lead = len(wide) - len(shape)
        if lead < 0 or any(d not in (1, wide[lead + i]) for i, d in enumerate(shape)):
            raise Undecided(f"how {self.node.op} makes shape {list(wide)} of {list(shape)} is not known to this view")
        return self.routed(field, shape, [None if d == 1 != wide[lead + i] else lead + i for i, d in enumerate(shape)])

    def slid(self, field: Field, axis: int, taps: Taps, count: Dim) -> Field:
        """Output positions along `axis` read `taps`."""
        return self.mapped(field, lambda r: reach.slid(r, axis, taps, count, self.budget))

    def mark(self, field: Field, axes: Iterable[int]) -> None:
        """These axes of a tensor are slid over: so are the axes of graph inputs behind them."""
        chosen = frozenset(axes)
        for name, reaches in field.items():
            for i, one in enumerate(reaches):
                if any(axis in chosen for axis, _ in one.terms):
                    self.slides.add((name, i))

    def joined(self, fields: Iterable[Field], out: int = 0) -> Field:
        """What sees all fields, position by position of an output."""
        made: Field | None = None
        for field in fields:
            if field:
                made = field if made is None or made is field else self._both(made, field, self.out(out))
        return made or {}

    def _both(self, a: Field, b: Field, shape: Shape) -> Field:
        made = dict(a)
        self.budget.spend(len(b))
        for name, reaches in b.items():
            if name in made:
                made[name] = tuple(self._union(x, y, shape) for x, y in zip(made[name], reaches, strict=True))
            else:
                made[name] = reaches
        return made

    def _note(self, text: str) -> None:
        self.notes[text] = None

    def _union(self, a: Reach, b: Reach, shape: Shape) -> Reach:
        try:
            return reach.joined(a, b, shape, self.budget, self._note)
        except Undecided as doubt:
            return Reach(a.extent, *reach.NOTHING, (), a.whole or b.whole, self.because(str(doubt)))


Rule: TypeAlias = Callable[[Call, int], Field]  # the field of one output
