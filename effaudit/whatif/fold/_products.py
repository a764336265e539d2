"""Convolutions and matrix products with stored weights, and the folding of scales and shifts into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from effaudit.graph import UNKNOWN, Constant, Node
from effaudit.load.values import values
from effaudit.whatif.constants import computed, missing
from effaudit.whatif.fold._affine import NORM, Stage, Weight, as_stored, composed, times
from effaudit.whatif.fold._model import Model
from effaudit.whatif.fold._norms import Refusal, elementwise_stage, norm_stage

if TYPE_CHECKING:
    import numpy as np

_CONVS: Final = frozenset(("Conv", "ConvTranspose"))
_FLOATS: Final = frozenset("float32 float16 float64 bfloat16".split())


class Product(msgspec.Struct, frozen=True):
    """A node `i` that multiplies by a stored weight; `bias` is None where it has none."""

    i: int
    node: Node
    weight: Weight
    bias: Constant | None
    why: str = ""  # nothing can be folded into it

    @property
    def factor(self) -> float:
        """What the bias is multiplied by."""
        return float(self.node.attrs.get("beta", 1.0)) if self.node.op == "Gemm" else 1.0


def product(model: Model, i: int, node: Node) -> Product | None:
    """The product that a node is; None where it is none."""
    if node.domain or node.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or len(node.inputs) < 2:
        return None
    constant = model.draft.constant(node.inputs[1])
    if constant is None or constant.encoding.dtype not in _FLOATS or len(constant.shape) < 2:
        why = "the weights before or behind it are not stored as floating numbers"
        return Product(i, node, Weight(Constant("", UNKNOWN, (1, 1), "", 1, 0), "MatMul"), None, why)
    groups = node.attrs.get("group", 1)
    if node.op in _CONVS and (type(groups) is not int or groups < 1 or constant.shape[0] % groups):
        return None
    weight = Weight(constant, node.op, groups if node.op in _CONVS else 1, bool(node.attrs.get("transB", 0)))
    name = node.inputs[2] if len(node.inputs) > 2 else ""
    if not name:
        return Product(i, node, weight, None)
    bias = model.draft.constant(name)
    spread = bias is not None and (bias.numel == 1 or bias.shape[-1:] == (weight.outputs,) == (bias.numel,))
    return Product(i, node, weight, bias, "" if spread else "the bias is no stored number per channel")


class Fold(msgspec.Struct, frozen=True):
    """Stages that go into one product: those behind it in order, or one norm ahead of it."""

    into: Product
    behind: tuple[Stage, ...] = ()
    ahead: Stage | None = None
    source: str = ""  # what the norm ahead reads
    label: str = ""
    error: float | None = None  # of the largest element

    @property
    def product(self) -> int:
        return self.into.i

    @property
    def stages(self) -> int:
        return len(self.behind) + (self.ahead is not None)

    @property
    def worthwhile(self) -> bool:
        """False for the Add that is the bias of a MatMul: it is where it belongs."""
        return self.into.node.op != "MatMul" or len(self.behind) > 1 or self._scales

    @property
    def _scales(self) -> bool:
        return any(stage.op in ("Mul", "Div", NORM) for stage in self.behind)

    @property
    def _shifts(self) -> bool:
        return self.ahead is not None or any(stage.op in ("Add", "Sub", NORM) for stage in self.behind)

    def then(self, model: Model, node: Node, source: str) -> Fold:
        """With the node behind, which alone reads `source`. Raises Refusal."""
        product, weight = self.into, self.into.weight
        if node.domain or not node.outputs:
            raise Refusal("it follows no product")
        if product.why:
            raise Refusal(product.why)
        made = model.encoding(node.outputs[0])
        if made is not None and made.bits and made != weight.constant.encoding:
            raise Refusal("its type differs from that of the weights")
        if node.op == NORM:
            shape = model.shape(source)
            if product.node.op == "MatMul" and (shape is None or len(shape) != 2):
                raise Refusal("its channels are not those that the product makes")
            if node.inputs[0] != source:
                raise Refusal("it follows no product")
            stage = norm_stage(model, node, weight.outputs)
        else:
            rank = len(weight.constant.shape)
            from_end = rank - 1 if product.node.op in _CONVS else 1
            stage = elementwise_stage(model, node, source, weight.outputs, from_end)
        return replace(self, behind=(*self.behind, stage))

    def after(self, model: Model, node: Node) -> Fold:
        """With a norm ahead. Raises Refusal where that is not exact."""
        product = self.into
        if product.why:
            raise Refusal(product.why)
        if product.node.op == "ConvTranspose" or not _sees_no_padding(product.node):
            raise Refusal("the padding of the convolution behind it is not shifted")
        if product.node.attrs.get("transA", 0) or (product.node.op == "MatMul" and not _is_matrix(model, product)):
            raise Refusal("its channels are not those that the product reads")
        made = model.encoding(node.outputs[0])
        if made is not None and made.bits and made != product.weight.constant.encoding:
            raise Refusal("its type differs from that of the weights")
        return replace(self, ahead=norm_stage(model, node, product.weight.inputs), source=node.inputs[0])

    def checked(self, nodes: Sequence[Node]) -> Fold:
        """With the label of the nodes folded, and the largest error of the new constants over the largest of their
        elements: they are compared with the old ones taken through every stage, one after the other, in float64.
        Raises Refusal where they would overflow."""
        import numpy as np

        named = replace(self, label=" ".join(node.label for node in nodes))
        if not self._known():
            return named
        made: list[tuple[np.ndarray, Callable[[], np.ndarray]]] = []
        if self._scales or self.ahead is not None:
            made.append((values(self._weight()), lambda: self._staged(values(self.into.weight.constant))))
        if self._shifts or self.into.bias is not None:
            made.append((values(self._bias()), self._staged_bias))
        if not all(bool(np.isfinite(held).all()) for held, _ in made):
            raise Refusal("its scale or the folded weights are not finite")
        return replace(named, error=max(_relative(held.astype(np.float64), wanted()) for held, wanted in made))

    def figures(self) -> Mapping[str, int | float | str | None]:
        node = self.into.node
        return {"into": node.label, "op": node.op, "channels": self.into.weight.outputs, "max_error": self.error}

    def commit(self, model: Model, out: str) -> tuple[Node, ...]:
        """The nodes that make `out` now; their constants are in the draft."""
        node, weight = self.into.node, self.into.weight
        source, name = self.source or node.inputs[0], node.inputs[1]
        if self._scales or self.ahead is not None:
            name = _put(model, self.into.i, node.inputs[1], self._weight(), f"{weight.constant.name}.folded")
        if node.op == "MatMul":
            if not self._shifts:
                return (replace(node, inputs=(source, name), outputs=(out,)),)
            bias = model.draft.add(f"{weight.constant.name}.bias", self._bias())
            between = model.draft.fresh(f"{node.outputs[0]}.unshifted")
            label = f"{node.name}/bias" if node.name else ""
            return (
                replace(node, inputs=(source, name), outputs=(between,)),
                Node(label, "", "Add", (between, bias), (out,), {}),
            )
        inputs: tuple[str, ...] = (source, name)
        if self.into.bias is not None:
            inputs += (_put(model, self.into.i, node.inputs[2], self._bias(), f"{self.into.bias.name}.folded"),)
        elif self._shifts:
            inputs += (model.draft.add(f"{weight.constant.name}.bias", self._bias()),)
        attrs = {**node.attrs, "beta": 1.0} if node.op == "Gemm" and len(inputs) > 2 else node.attrs
        return (replace(node, inputs=inputs, outputs=(out,), attrs=attrs),)

    def _sources(self) -> tuple[Constant, ...]:
        stages = self.behind if self.ahead is None else (*self.behind, self.ahead)
        return tuple(constant for stage in stages for constant in stage.constants)

    def _weight(self) -> Constant:
        weight = self.into.weight

        def made(held: np.ndarray, *_: np.ndarray) -> np.ndarray:
            return times(held, self._factors(), weight.constant.encoding)

        one = weight.constant
        return computed((one, *self._sources()), made, name=one.name, shape=one.shape, encoding=one.encoding)

    def _factors(self) -> np.ndarray:
        weight = self.into.weight
        if self.ahead is not None:
            return weight.over_inputs(self.ahead.affine(weight.inputs)[0])
        return weight.over_outputs(composed(self.behind, weight.outputs)[0])

    def _bias(self) -> Constant:
        weight, bias = self.into.weight, self.into.bias
        held = () if bias is None else (bias,)
        read = (weight.constant,) if self.ahead is not None else ()
        encoding = weight.constant.encoding

        def made(*_: np.ndarray) -> np.ndarray:
            return as_stored(self._shifted(), encoding)

        shape = (weight.outputs,)
        return computed((*held, *read, *self._sources()), made, name="", shape=shape, encoding=encoding)

    def _shifted(self) -> np.ndarray:
        """The new bias, in float64."""
        import numpy as np

        weight = self.into.weight
        bias = np.zeros(weight.outputs)
        if self.into.bias is not None:
            bias = bias + values(self.into.bias).astype(np.float64).reshape(-1) * self.into.factor
        if self.ahead is None:
            scale, shift = composed(self.behind, weight.outputs)
            made: np.ndarray = bias * scale + shift
        else:
            made = bias + self._read_shift()
        return made

    def _read_shift(self) -> np.ndarray:
        """What the shift of a norm ahead adds to each output."""
        import numpy as np

        assert self.ahead is not None
        weight = self.into.weight
        shift = weight.over_inputs(self.ahead.affine(weight.inputs)[1])
        alpha = float(self.into.node.attrs.get("alpha", 1.0)) if self.into.node.op == "Gemm" else 1.0
        return weight.read_per_output(values(weight.constant).astype(np.float64) * shift) * alpha

    def _known(self) -> bool:
        held = (self.into.weight.constant, *self._sources(), *(() if self.into.bias is None else (self.into.bias,)))
        return not any(map(missing, held))

    def _staged(self, weight: np.ndarray) -> np.ndarray:
        import numpy as np

        held = self.into.weight
        staged = weight.astype(np.float64)
        for stage in self.behind:
            staged = staged * held.over_outputs(stage.affine(held.outputs)[0])
        if self.ahead is not None:
            staged = staged * held.over_inputs(self.ahead.affine(held.inputs)[0])
        return staged

    def _staged_bias(self) -> np.ndarray:
        import numpy as np

        staged = np.zeros(self.into.weight.outputs)
        if self.into.bias is not None:
            staged = staged + values(self.into.bias).astype(np.float64).reshape(-1) * self.into.factor
        for stage in self.behind:
            scale, shift = stage.affine(self.into.weight.outputs)
            staged = staged * scale + shift
        return staged if self.ahead is None else staged + self._read_shift()


def _relative(held: np.ndarray, wanted: np.ndarray) -> float:
    largest = float(abs(wanted).max(initial=0.0))
    error = float(abs(held - wanted).max(initial=0.0))
    return error / largest if largest else error


def _put(model: Model, i: int, name: str, constant: Constant, copy: str) -> str:
    """The constant under its old name where only the node `i` reads that, else a copy under another."""
    if model.alone(name, i) and model.raw.nodes[i].inputs.count(name) == 1:
        model.draft.exchange(name, constant)
        return name
    return model.draft.add(copy, constant)


def _sees_no_padding(node: Node) -> bool:
    if node.op != "Conv":
        return True
    pads: Any = node.attrs.get("pads", ())
    return node.attrs.get("auto_pad", "NOTSET") in ("NOTSET", "VALID") and not any(pads)


def _is_matrix(model: Model, product: Product) -> bool:
    shape = model.shape(product.node.inputs[0])
    return shape is not None and len(shape) == 2 and len(product.weight.constant.shape) == 2
