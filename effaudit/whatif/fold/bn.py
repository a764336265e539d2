"""Batch norms, and other constant scales and shifts per channel, in the weights and biases beside them.

    W' = W * gamma / sqrt(var + epsilon)        b' = (b - mean) * gamma / sqrt(var + epsilon) + beta

behind a Conv, ConvTranspose, Gemm or MatMul (then its bias is an Add), where nothing else reads the tensor in between.
A batch norm in front of a Conv without padding, or of a matrix product, goes in as well: W' = W * scale of what it
reads, b' = b + W * shift. With padding it stays: the zeros of the padding are not shifted. Weights that others read are
copied. A model without weights gets the headers.

https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
https://arxiv.org/abs/1712.05877 (section 3.2)
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import Node, Value, nested
from effaudit.whatif.fold._affine import NORM
from effaudit.whatif.fold._model import Folded, Model, grouped
from effaudit.whatif.fold._norms import Refusal
from effaudit.whatif.fold._products import Fold, Product, product
from effaudit.whatif.types import Blocked, Detail


def fold(audited: Audited, values: Mapping[str, Value]) -> Folded:
    """The model with norms folded. Raises LoadError where weights cannot be read."""
    behind = _Pass(Model(audited, values))
    behind.behind()
    ahead = _Pass(Model(replace(audited, raw=behind.model.graph()), values))
    ahead.ahead()
    graph = ahead.model.graph()
    norms = behind.norms + ahead.norms
    made = behind.made + ahead.made
    names = {fold.product for fold in made}
    others = sum(fold.stages for fold in made) - norms
    note = f"{norms} of {_norms(audited.raw.nodes)} batch norms"
    if others:
        note += f" and {others} constant scales and shifts"
    note += f" folded into {len(names)} products"
    errors = [fold.error for fold in made if fold.error is not None]
    if errors:
        note += f"; the weights hold them to within {max(errors):.1e} of the largest"
    refused = {**behind.refused, **ahead.refused}
    stay = [(n, refused.get(n.outputs, "no convolution or product is beside it")) for n in graph.nodes if _is_norm(n)]
    details = tuple(Detail("folds", fold.label, fold.figures()) for fold in made)
    return Folded(graph, note, (*grouped(stay), *_inside(audited)), details)


def _is_norm(node: Node) -> bool:
    return node.op == NORM and not node.domain


def _norms(nodes: tuple[Node, ...]) -> int:
    return sum(map(_is_norm, nodes))


def _inside(audited: Audited) -> tuple[Blocked, ...]:
    """Norms in bodies of If, Loop and Scan, and in functions, which are left as they are."""
    bodies = [part.nodes for part in nested([audited.raw]) if part is not audited.raw]
    bodies += [function.nodes for function in audited.raw.functions.values()]
    count = sum(map(_norms, bodies))
    return (Blocked(f"{NORM}: {count} nodes", "they lie in the body of a node or a function"),) if count else ()


class _Pass:
    """One walk over the products of a graph; folds those that it can, and remembers why it could not."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.made: list[Fold] = []
        self.norms = 0
        self.refused: dict[tuple[str, ...], str] = {}  # a norm's outputs -> why it stays

    def behind(self) -> None:
        """What follows a product goes into it."""
        for i, node in enumerate(self.model.raw.nodes):
            found = product(self.model, i, node)
            if found is not None:
                self._behind(found)

    def _behind(self, found: Product) -> None:
        model = self.model
        chain: list[int] = []
        out = found.node.outputs[0]
        fold = Fold(found)
        while True:
            readers = [model.raw.nodes[j] for j in model.wiring.readers.get(out, ())]
            j = model.wiring.only_reader(out)
            try:
                if j is None:
                    raise Refusal("others read its input as well")
                fold = fold.then(model, model.raw.nodes[j], out)
            except Refusal as refusal:
                self._refuse(readers, out, refusal)
                break
            chain.append(j)
            out = model.raw.nodes[j].outputs[0]
        folded = [model.raw.nodes[j] for j in chain]
        if not chain or not fold.worthwhile:
            return
        try:
            fold = fold.checked(folded)
        except Refusal as refusal:
            self._refuse(folded, "", refusal)
            return
        nodes = fold.commit(model, out)
        self._done(fold, folded)
        model.draft.put(found.i, *nodes[:1])
        for j in chain:
            model.draft.put(j)
        if nodes[1:]:
            model.draft.put(chain[-1], *nodes[1:])

    def ahead(self) -> None:
        """A norm goes into the product that alone reads it."""
        model = self.model
        for i, node in enumerate(model.raw.nodes):
            if not _is_norm(node) or node.outputs[0] == "":
                continue
            j = model.wiring.only_reader(node.outputs[0])
            found = None if j is None else product(model, j, model.raw.nodes[j])
            if found is None or found.node.inputs[0] != node.outputs[0]:
                continue
            try:
                fold = Fold(found).after(model, node).checked([node])
            except Refusal as refusal:
                self._refuse([node], "", refusal)
                continue
            nodes = fold.commit(model, found.node.outputs[0])
            self._done(fold, [node])
            model.draft.put(found.i, *nodes)
            model.draft.put(i)

    def _done(self, fold: Fold, nodes: list[Node]) -> None:
        self.made.append(fold)
        self.norms += sum(map(_is_norm, nodes))

    def _refuse(self, nodes: list[Node], out: str, refusal: Refusal) -> None:
        for node in nodes:
            if _is_norm(node) and (not out or node.inputs[0] == out):
                self.refused[node.outputs] = str(refusal)
