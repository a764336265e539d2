"""Lengths that nodes state: attributes, targets of Reshape and Expand, sizes of Split, bounds of Slice, indices of
Gather. They follow the axes they speak of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.axes.call import Amount, Edit, Indices, Length
from effaudit.axes.terms import Kept
from effaudit.elements import value_of
from effaudit.graph import INT64, Node, Value
from effaudit.whatif.constants import literal
from effaudit.whatif.draft import Draft

# What hands on the entries of a list of sizes, as they are.
_PASSES: Final = frozenset("Identity Cast Unsqueeze Squeeze Reshape Flatten".split())
Entry = int | None  # a number whatever is fed, or one that depends on it


class Settings:
    """Edits the settings of nodes for the positions that stay on each axis; `touched` are the nodes with a pruned
    axis."""

    def __init__(self, audited: Audited, draft: Draft, kept: Kept, touched: Collection[int]) -> None:
        self.audited = audited
        self.touched = touched
        self.draft = draft
        self.kept = kept

    def followed(self, node: Node, edit: Edit) -> Node:
        """The node with one of its settings following; itself where nothing changes."""
        where = edit.where
        if isinstance(where, str):
            return self._attribute(node, where, edit)
        if where < len(node.inputs) and node.inputs[where]:
            name = self._input(node.inputs[where], edit.amounts, touched=edit.node in self.touched)
            if name == node.inputs[where]:
                return node
            return replace(node, inputs=tuple(name if i == where else x for i, x in enumerate(node.inputs)))
        return self._split(node, edit) if node.op == "Split" else node

    def _attribute(self, node: Node, name: str, edit: Edit) -> Node:
        stated = node.attrs.get(name)
        if stated is None:
            return self._split(node, edit) if node.op == "Split" else node
        entries = (stated,) if edit.alone else tuple(stated)
        if edit.alone and name == "group" and not isinstance(stated, int):
            return node
        new = self._entries(entries, edit.amounts)
        if new == entries:
            return node
        return replace(node, attrs={**node.attrs, name: new[0] if edit.alone else new})

    def _split(self, node: Node, edit: Edit) -> Node:
        """A Split that states no sizes makes parts as equal as can be: it states them where they are not any more."""
        assert not isinstance(edit.amounts, Indices)
        sizes = [amount.new(self.kept) for amount in edit.amounts if amount is not None]
        each = -(-sum(sizes) // len(sizes))
        if all(size == each for size in sizes[:-1]) and 0 < sizes[-1] <= each:
            return node
        attrs = {name: value for name, value in node.attrs.items() if name != "num_outputs"}
        if isinstance(edit.where, str):
            return replace(node, attrs={**attrs, edit.where: tuple(sizes)})
        name = self._made(f"{node.outputs[0]}_split", sizes, Value(INT64, (len(sizes),)))
        return replace(node, inputs=(node.inputs[0], name), attrs=attrs)

    # ---- lists of sizes that are tensors
    def _value(self, name: str) -> Value | None:
        """What is known of a tensor whatever is fed."""
        found = self.audited.symbolic.values.get(name)
        if found is None:
            constant = self.draft.constant(name)
            return None if constant is None else value_of(constant)
        return found

    def _input(self, name: str, amounts: Sequence[Amount] | Indices, *, touched: bool) -> str:
        """The tensor to read instead of one that holds lengths; the same where it need not, or cannot, be changed."""
        value = self._value(name)
        if value is None or value.shape is None or value.data is None:
            return name
        entries = tuple(int(x) if isinstance(x, (int, bool)) else None for x in value.data)
        if isinstance(amounts, Indices):
            return self._indices(name, value, entries, amounts)
        if len(entries) != len(amounts):
            return name
        if None not in entries and touched and self.draft.constant(name) is None:
            # computed from other lengths, which may change where this one does not
            return self._made(name, self._entries(entries, amounts), value)
        return self._patched(name, entries, amounts)

    def _indices(self, name: str, value: Value, entries: Sequence[Entry], amounts: Indices) -> str:
        whole = [entry for entry in entries if entry is not None]
        new = amounts.new(whole, self.kept)
        if len(whole) < len(entries) or new == tuple(whole):
            return name
        return self._made(name, new, value)

    def _entries(self, entries: Sequence[Any], amounts: Sequence[Amount] | Indices) -> tuple[Any, ...]:
        assert not isinstance(amounts, Indices)
        return tuple(self._entry(e, a) for e, a in zip(entries, amounts, strict=True))

    def _entry(self, entry: Entry, amount: Amount) -> Entry:
        if entry is None or amount is None:
            return entry
        if isinstance(amount, Length):
            return amount.new(self.kept) if entry == amount.old() else entry
        new = amount.new(self.kept)
        return entry if new == amount.old() else new

    def _patched(self, name: str, entries: Sequence[Entry], amounts: Sequence[Amount]) -> str:
        """A list of sizes of which some depend on what is fed: the numbers in it are exchanged where they stand."""
        new = self._entries(entries, amounts)
        value = self._value(name)
        if None not in entries:
            if new == tuple(entries) or value is None:
                return name
            return self._made(name, new, value)
        node = self.draft.makers.get(name)
        if node is None or node.domain or len(node.outputs) != 1:
            return name
        if node.op == "Concat":
            return self._rebuilt(node, self._parts(node, entries, amounts))
        if node.op in _PASSES:
            return self._rebuilt(node, (self._patched(node.inputs[0], entries, amounts), *node.inputs[1:]))
        if node.op == "Mul" and len(entries) == 1:
            return self._rebuilt(node, self._scaled(node, amounts[0]))
        return name

    def _parts(self, node: Node, entries: Sequence[Entry], amounts: Sequence[Amount]) -> tuple[str, ...]:
        found, at = [], 0
        for name in node.inputs:
            value = self._value(name)
            count = value.shape[0] if value is not None and value.shape else None
            if type(count) is not int:
                return node.inputs
            found.append(self._patched(name, entries[at : at + count], amounts[at : at + count]))
            at += count
        return tuple(found)

    def _scaled(self, node: Node, amount: Amount) -> tuple[str, ...]:
        """A size that is a number times one that is fed."""
        if not isinstance(amount, Length):
            return node.inputs
        old, new = amount.old(), amount.new(self.kept)
        for slot, name in enumerate(node.inputs):
            value = self._value(name)
            known = None if value is None else value.data
            if value is None or known is None or len(known) != 1 or not isinstance(known[0], int) or new == old:
                continue
            if known[0] * new % old == 0:
                made = self._made(name, (known[0] * new // old,), value)
                return tuple(made if i == slot else x for i, x in enumerate(node.inputs))
        return node.inputs

    def _rebuilt(self, node: Node, inputs: Sequence[str]) -> str:
        """A node like this one with other inputs, beside it; its output."""
        if tuple(inputs) == node.inputs:
            return node.outputs[0]
        i = next(i for i, one in enumerate(self.audited.raw.nodes) if one.outputs == node.outputs)
        output = self.draft.fresh(node.outputs[0])
        made = replace(node, name=output if node.name else "", inputs=tuple(inputs), outputs=(output,))
        self.draft.put(i, made, *self.draft.at(i))
        return output

    def _made(self, like: str, entries: Sequence[Any], value: Value) -> str:
        """A tensor of these entries, of the type of a value: a number where that is one, else a list."""
        import numpy as np

        array = np.array(entries, dtype=value.encoding.dtype).reshape((len(entries),) if value.shape else ())
        return self.draft.add(like, literal(like, array))
