"""Nodes whose results do not depend on what the model is fed, computed ahead.

Those are what constants alone reach, and what hangs on the shapes of tensors whose sizes are fixed. Small results are
computed at once, larger ones when they are first read; of a model without weights, their headers are known.

Nothing is made large by the file's word: a result of more than `SMALL` bytes must not be larger than `GROWTH` times the
constants it is made of, none may be larger than `MAX_RESULT` bytes, and all together add no more than that. What stores
weights small stays: the DequantizeLinear of a weight and a Cast of one to a wider type, and what is made of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.dataflow import is_random
from effaudit.graph import STRING, Constant, Encoding, Node, Value
from effaudit.load.values import values as read
from effaudit.lower.qdq import is_dequantize
from effaudit.whatif.constants import BY_NAME, computed, literal, missing
from effaudit.whatif.fold._compute import Refused, computer
from effaudit.whatif.fold._model import Folded, Model, grouped

SMALL: Final = 64 << 10
GROWTH: Final = 4
MAX_RESULT: Final = 64 << 20
MAX_STEPS: Final = 64  # nodes that are computed when a result is read


class _Result(msgspec.Struct, frozen=True):
    """A tensor computed ahead: of which stored constants (their bytes by name), in how many steps when it is read."""

    constant: Constant
    roots: Mapping[str, int]
    steps: int = 0


def fold(audited: Audited, values: Mapping[str, Value]) -> Folded:
    """The model with what can be computed ahead as constants. Raises LoadError where weights cannot be read."""
    walk = _Walk(Model(audited, values))
    for i, node in enumerate(walk.model.raw.nodes):
        walk.visit(i, node)
    walk.settle()
    graph = walk.model.graph()
    gone = len(audited.raw.nodes) - len(graph.nodes)
    return Folded(graph, f"{gone} nodes computed ahead", grouped(walk.refused))


class _Walk:
    """One walk over the nodes, in order."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.results: dict[str, _Result] = {}
        self.folded: set[int] = set()
        self.refused: list[tuple[Node, str]] = []
        self.stuck: set[str] = set()  # what could be computed ahead and is not, and what is made of that
        self.added = 0

    def visit(self, i: int, node: Node) -> None:
        """Computes the results of a node where that can be done."""
        names = [name for name in node.outputs if name]
        if node.op == "Constant" and not node.domain:
            return
        model = self.model
        varies = any(map(model.wiring.varies, names))
        try:
            found = {} if node.bodies or not names else self._results(node, names, varies=varies)
            if not found:
                raise Refused("" if varies else "nothing here computes it")
            if any(name in model.raw.outputs for name in names):
                raise Refused("it makes an output of the model")
            self._bounded(found)
        except Refused as refusal:
            if varies:
                return
            self.stuck.update(names)
            if str(refusal):  # what reads something stuck is not listed again
                self.refused.append((node, str(refusal)))
            return
        self.results.update(found)
        self.folded.add(i)

    def settle(self) -> None:
        """Takes the folded nodes out, and their results that others read in."""
        model = self.model
        needed = set(model.wiring.pinned)
        for i, names in enumerate(model.wiring.flow.reads):
            if i not in self.folded:
                needed.update(names)
        for i in self.folded:
            model.draft.put(i)
        for name, result in self.results.items():
            if name in needed:
                model.draft.constants[name] = result.constant

    def _results(self, node: Node, names: list[str], *, varies: bool) -> dict[str, _Result]:
        """The constants that a node makes, by name; none where it cannot be computed. Raises Refused."""
        known = {name: self._known(name) for name in names}
        if all(known.values()) and not is_random(node):
            return {name: _Result(one, {name: one.nbytes}) for name, one in known.items() if one is not None}
        if varies or is_random(node):
            return {}
        self._keeps_small(node)
        sources = [self._source(name) for name in node.inputs]
        if len(names) != 1 or None in sources[:1]:
            return {}
        held = [one for one in sources if one is not None]
        made = self._made(node, [None if one is None else one.constant for one in sources])
        steps = 1 + sum(one.steps for one in held)
        roots = {name: size for one in held for name, size in one.roots.items()}
        if steps > MAX_STEPS or len(roots) > MAX_STEPS:
            raise Refused(f"it is made of more than {MAX_STEPS} constants or nodes")
        if made.nbytes <= SMALL and not missing(made):
            made, steps = _at_once(made), 0
        return {names[0]: _Result(made, roots, steps)}

    def _known(self, name: str) -> Constant | None:
        """A small tensor of numbers that shape inference knows."""
        data, shape, encoding = self.model.data(name), self.model.shape(name), self.model.encoding(name)
        if data is None or shape is None or encoding is None or BY_NAME.get(encoding.dtype) != encoding:
            return None
        if encoding.bits < 8 or "float8" in encoding.dtype or "complex" in encoding.dtype:
            return None
        import numpy as np

        dtype = "float32" if encoding.dtype == "bfloat16" else encoding.dtype
        try:
            return literal(name, np.array(data, dtype).reshape(shape), encoding)
        except (OverflowError, ValueError):
            return None

    def _keeps_small(self, node: Node) -> None:
        """Raises Refused for what stores weights small."""
        if any(name in self.stuck for name in node.inputs):
            raise Refused("")
        source = self._source(node.inputs[0]) if node.inputs else None
        made = self.model.encoding(node.outputs[0])
        if is_dequantize(node):
            raise Refused("it keeps its weights small: computed ahead they would be stored as floating numbers")
        if node.op != "Cast" or source is None or made is None or source.constant.nbytes <= SMALL:
            return
        if made.bits > source.constant.encoding.bits:
            raise Refused("it keeps its weights small: computed ahead they would be stored in a wider type")

    def _source(self, name: str) -> _Result | None:
        """The constant that an input is; None for one that is not known."""
        if name in self.results:
            return self.results[name]
        constant = self.model.draft.constant(name)
        if constant is None:
            constant = self._known(name)
        if constant is None or constant.place == "sparse" or constant.encoding is STRING:
            return None
        return _Result(constant, {name: constant.nbytes})

    def _made(self, node: Node, sources: list[Constant | None]) -> Constant:
        """The result of a node, which is computed when it is read. Raises Refused."""
        out = node.outputs[0]
        shape, encoding = self._stated(out)
        held = [one for one in sources if one is not None]
        if len(held) < len([name for name in node.inputs if name]):
            raise Refused("an input of it is no stored constant")
        compute = computer(self.model, node, held, shape, encoding)
        return computed(held, compute, name=out, shape=shape, encoding=encoding)

    def _stated(self, name: str) -> tuple[tuple[int, ...], Encoding]:
        value = self.model.values.get(name)
        shape = None if value is None else value.shape
        if value is None or shape is None or value.encoding.bits == 0 or not all(type(dim) is int for dim in shape):
            raise Refused("the size of its result is not known")
        return tuple(dim for dim in shape if type(dim) is int), value.encoding

    def _bounded(self, found: Mapping[str, _Result]) -> None:
        """Raises Refused for results that are large by the file's word."""
        for result in found.values():
            size, roots = result.constant.nbytes, sum(result.roots.values())
            if size > max(MAX_RESULT, roots):
                raise Refused(f"its result takes {size:,} bytes, more than the {MAX_RESULT:,} that are computed ahead")
            if size > max(SMALL, GROWTH * roots):
                raise Refused(f"its result takes {size:,} bytes, made of {roots:,}")
            self.added += max(0, size - roots)
        if self.added > MAX_RESULT:
            raise Refused(f"the results together would add more than {MAX_RESULT:,} bytes")


def _at_once(made: Constant) -> Constant:
    """Raises Refused where the operator refuses its inputs."""
    try:
        return literal(made.name, read(made), made.encoding)
    except (ValueError, IndexError, TypeError):
        raise Refused("its inputs do not go together") from None
