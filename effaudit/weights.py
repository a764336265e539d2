"""What the constants of a model are: parameters, buffers, quantization data, or something the exporter needed.

A constant's role is the role of the inputs that read it, followed through nodes that only reshape, convert or
dequantize constants. `params` are the elements of weights, biases, norm scales and shifts and embeddings; running
means and variances are `buffers`; scales and zero points go with the weights they belong to; shapes, indices, limits,
masks and position tables are none of these. Each tensor counts once however often it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Final

import msgspec

from effaudit.dataflow import Flow, flow
from effaudit.elements import value_of
from effaudit.errors import Undecided
from effaudit.graph import INTEGERS, Constant, Graph, Node, Value
from effaudit.ops._registry import Rules, registered, rules_for

PARAM: Final = "param"
BUFFER: Final = "buffer"
QUANTIZATION: Final = "quantization"
OTHER: Final = "other"
UNUSED: Final = "unused"
_RANK: Final = {UNUSED: 0, OTHER: 1, QUANTIZATION: 2, BUFFER: 3, PARAM: 4}

# Input names (lower-case, as in the schemas) that hold settings, never weights.
_SETTINGS: Final = frozenset(
    """shape axes indices repeats pads split starts ends steps k depth roi sizes sequence_lens min max constant_value
    condition values position_ids seqlens_k total_sequence_length ratio training_mode axis limit start delta m cond
    mask_index attention_mask mask position_bias attn_mask attn_bias key_padding_mask max_output_boxes_per_class
    iou_threshold score_threshold position segment_ids target grid size dft_length write_indices nonpad_kv_seqlen
    batch_indices rois past_sequence_length output_shape cos_cache sin_cache initial_h initial_c window frame_step
    frame_length""".split()
)
_QUANTIZATION: Final = frozenset(("absmax", "zero_points", "weight_scale_2"))
_BUFFERS: Final = frozenset("mean var input_mean input_var".split())
# Their first input's elements are their output's, whatever the other inputs say.
_RESHAPERS: Final = frozenset("Reshape Expand Tile Squeeze Unsqueeze Identity Transpose Flatten Cast".split())
_RESIZERS: Final = frozenset(("Resize", "Upsample"))
_PASSES_TO_SOFTMAX: Final = frozenset("Add Mul Div Sub Reshape Cast Where Identity Transpose Squeeze Unsqueeze".split())


# A tensor computed from more constants than this is no weight any more, and following it would cost a quadratic time.
MAX_SOURCES: Final = 64


class Tensor(msgspec.Struct, frozen=True):
    """A constant with its role; `logical` elements differ from the stored ones where several share a byte."""

    constant: Constant
    role: str
    logical: int
    reader: Node | None = None


class Weights(msgspec.Struct, frozen=True):
    """Every constant of a model."""

    tensors: tuple[Tensor, ...]

    def of(self, *roles: str) -> tuple[Tensor, ...]:
        return tuple(t for t in self.tensors if t.role in roles)

    @property
    def params(self) -> int:
        """Logical elements of the parameters."""
        return sum(t.logical for t in self.of(PARAM))

    @property
    def params_stored(self) -> int:
        """Elements of the parameters as the file stores them."""
        return sum(t.constant.numel for t in self.of(PARAM))

    @property
    def buffers(self) -> int:
        return sum(t.constant.numel for t in self.of(BUFFER))

    @property
    def constant_elements(self) -> int:
        """Every element of every constant, as written."""
        return sum(t.constant.numel for t in self.tensors)

    def bytes_of(self, *roles: str) -> int:
        return sum(t.constant.nbytes for t in self.of(*roles))

    def by_reader(self) -> dict[int, tuple[int, int]]:
        """(params, weight bytes) per reading node, keyed by the node's identity; each tensor at its first reader."""
        found: dict[int, tuple[int, int]] = {}
        for t in self.of(PARAM, BUFFER, QUANTIZATION):
            if t.reader is not None:
                params, size = found.get(id(t.reader), (0, 0))
                found[id(t.reader)] = (
                    params + (t.logical if t.role == PARAM else 0),
                    size + t.constant.nbytes,
                )
        return found


def classify(graph: Graph, known: Flow | None = None) -> Weights:
    """The role of every constant of a graph, its bodies and functions included."""
    found = _Roles(rules_for(graph))
    found.graph(graph, {}, known)
    return Weights(tuple(found.tensors()))


class _Use(msgspec.Struct):
    """What is learnt of one constant while walking."""

    constant: Constant
    role: str = UNUSED
    logical: int = 0
    reader: Node | None = None


class _Roles:
    """Walks graphs in order; `sources` maps a computed-ahead tensor to the constants whose elements it holds."""

    def __init__(self, rules: Mapping[tuple[str, str], Rules]) -> None:
        self.rules = rules
        self.uses: dict[int, _Use] = {}
        self.bodies: set[tuple[int, tuple[int, ...]]] = set()  # bodies walked, with the constants handed in

    def tensors(self) -> Iterable[Tensor]:
        for use in self.uses.values():
            yield Tensor(use.constant, use.role, use.logical or use.constant.numel, use.reader)

    def graph(self, graph: Graph, outer: Mapping[str, tuple[_Use, ...]], known: Flow | None = None) -> None:
        if known is None:
            known = flow(graph, {*graph.inputs, *graph.captured} - outer.keys())
        sources: dict[str, tuple[_Use, ...]] = dict(outer)
        for name, constant in graph.constants.items():
            sources[name] = (self._use(constant),)
        scores = _before_softmax(graph)
        angles = _before_sine(graph)
        for i, (node, runs) in enumerate(zip(graph.nodes, known.live, strict=True)):
            table = graph.values if i in scores else None
            self._node(node, runs, table, i in angles, known.varying, sources)
        for name in graph.outputs:
            for use in sources.get(name, ()):
                _raise(use, OTHER, use.reader)

    def _use(self, constant: Constant) -> _Use:
        return self.uses.setdefault(id(constant), _Use(constant))

    def _node(
        self,
        node: Node,
        runs: bool,
        biases_scores: Mapping[str, Value] | None,
        makes_angles: bool,
        changing: frozenset[str],
        sources: dict[str, tuple[_Use, ...]],
    ) -> None:
        if node.op == "Constant" and node.outputs:
            value = node.attrs.get("value") or node.attrs.get("sparse_value")
            if isinstance(value, Constant):
                sources[node.outputs[0]] = (self._use(value),)
            return
        for body in node.bodies.values():
            if runs:
                self._body(node, body, sources)
            else:
                self._never(body)
        if not runs or "function" in node.bodies:
            return
        held = [sources.get(name, ()) if name else () for name in node.inputs]
        if not any(held):
            return
        rules = self.rules.get((node.domain, node.op))
        ahead = changing.isdisjoint(node.outputs)
        carried: dict[int, _Use] = {}
        for place, uses in enumerate(held):
            for use in uses:
                table = biases_scores is not None and _is_plane(biases_scores[node.inputs[place]], use.constant)
                table = table or (makes_angles and sum(dim > 1 for dim in use.constant.shape) <= 1)
                found = OTHER if table else role(node, place, use.constant, rules)
                if found == BUFFER and node.inputs[place] != use.constant.name:
                    found = OTHER  # statistics the graph computes: of a copy of the weights, not of past data
                if (ahead and (found == PARAM or _elementwise(rules))) or (place == 0 and node.op in _RESHAPERS):
                    carried[id(use)] = use
                else:
                    _raise(use, found, node, _logical(node, place, use.constant, rules))
        if 0 < len(carried) <= MAX_SOURCES:
            sources.update(dict.fromkeys(filter(None, node.outputs), tuple(carried.values())))

    def _body(self, node: Node, body: Graph, sources: Mapping[str, tuple[_Use, ...]]) -> None:
        if "function" in node.bodies:
            pairs = zip(body.inputs, node.inputs, strict=False)
            visible = {inner: sources[name] for inner, name in pairs if name in sources}
        else:
            visible = {name: sources[name] for name in body.captured if name in sources}
        key = (id(body), tuple(id(use) for uses in visible.values() for use in uses))
        if key not in self.bodies:
            self.bodies.add(key)
            rest = tuple(name for name in body.inputs if name not in visible)
            self.graph(msgspec.structs.replace(body, inputs=rest), visible)

    def _never(self, body: Graph) -> None:
        """The constants of a body that never runs: they exist, and nothing reads them."""
        for constant in body.constants.values():
            self._use(constant)
        for node in body.nodes:
            self._node(node, False, None, False, frozenset(), {})


def _before_softmax(graph: Graph) -> set[int]:
    """The nodes that add a mask or a table of relative positions to attention scores: a softmax follows them."""
    leads = {name for node in graph.nodes if node.op == "Softmax" for name in node.inputs[:1]}
    found = set()
    for i in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[i]
        if node.op in _PASSES_TO_SOFTMAX and not leads.isdisjoint(node.outputs):
            found.add(i)
            leads.update(node.inputs)
    return found


def _before_sine(graph: Graph) -> set[int]:
    """The products whose result only a sine or cosine reads: a vector in them holds the frequencies of positions."""
    leads = {name for node in graph.nodes if node.op in ("Sin", "Cos") for name in node.inputs}
    found = set()
    for i in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[i]
        if leads.isdisjoint(node.outputs):
            continue
        if node.op in ("Transpose", "Concat", "Reshape", "Cast", "Unsqueeze", "Squeeze", "Expand", "Mul", "Identity"):
            leads.update(node.inputs)
        if node.op in ("MatMul", "Mul", "Einsum", "Div"):
            found.add(i)
    return found


def _raise(use: _Use, role: str, reader: Node | None, logical: int = 0) -> None:
    """The weightiest role among the readers wins; the first reader in it owns the tensor."""
    if _RANK[role] > _RANK[use.role]:
        use.role, use.reader = role, reader
        use.logical = logical or use.logical


def role(node: Node, place: int, constant: Constant, rules: Rules | None = None) -> str:
    """The role of a constant at input `place` of a node with these rules (None: those of the registry)."""
    rules = rules or registered().get((node.domain, node.op))
    if rules is not None and rules.roles and (stated := rules.roles[min(place, len(rules.roles) - 1)]):
        return stated
    name = _input_name(rules, place)
    dtype = constant.encoding.dtype
    if _is_quantization(name, node.op):
        return QUANTIZATION
    if name in _BUFFERS and node.op == "BatchNormalization":
        return BUFFER
    if rules is not None and rules.kind == "shape":  # only its shape is read
        return OTHER
    if name in _SETTINGS or dtype in ("bool", "string") or (node.op in _RESIZERS and place > 0):
        return OTHER
    if dtype in INTEGERS and constant.encoding.bits > 16 and node.op != "DequantizeLinear":
        return PARAM if dtype == "int32" and name in ("b", "c", "bias") else OTHER
    if constant.numel <= 1 and rules is not None and rules.kind == "movement":  # one number, spread over a tensor
        return OTHER
    if _elementwise(rules) and node.op != "PRelu":
        # One number is a setting; a product with a whole plane is a table of positions: learned scales have one axis.
        plane = sum(dim > 1 for dim in constant.shape) > 1
        return OTHER if constant.numel <= 1 or (plane and node.op in ("Mul", "Div")) else PARAM
    if node.op == "InstanceNormalization" and _neutral(constant, 1.0 if name == "scale" else 0.0):
        return OTHER
    return PARAM


def _is_quantization(name: str, op: str) -> bool:
    """True for the name of an input that holds scales or zero points (a norm's `scale` is none of these)."""
    if "zero_point" in name or name in _QUANTIZATION or name.endswith(("_scale", "_scales", "_scale_2")):
        return True
    return (name == "scales" and op not in _RESIZERS) or (name.startswith(("scale_", "scalea", "scaleb", "scaley")))


def _elementwise(rules: Rules | None) -> bool:
    return rules is not None and rules.kind in ("elementwise", "activation")


def _is_plane(value: Value, constant: Constant) -> bool:
    """True where the constant itself (not a smaller table it was gathered from) has a value per pair of positions."""
    shape = value.shape or ()
    try:
        return len(shape) > 1 and 1 not in shape[-2:] and value.numel == constant.numel
    except Undecided:  # larger than anything a file holds
        return False


def _neutral(constant: Constant, element: float) -> bool:
    """True for a scale of ones or a shift of zeros, which exporters write where a group norm has neither."""
    data = value_of(constant).data
    return data is not None and all(x == element for x in data)


def _input_name(rules: Rules | None, place: int) -> str:
    if rules is None or rules.shape_takes is None:
        return ""
    names = rules.shape_takes.inputs
    return names[place] if place < len(names) else ""


# Operators whose byte-wide weights hold several values: by input, the attributes whose product is the logical size.
_PACKED: Final = {
    "MatMulNBits": {"b": ("K", "N")},
    "MatMulBnb4": {"b": ("K", "N")},
    "MatMulNBitsMlp": {"gate_b": ("K", "N"), "up_b": ("K", "N")},
    "MatMulNBitsQkv": {"q_b": ("K", "Nq"), "k_b": ("K", "Nkv"), "v_b": ("K", "Nkv")},
}
# Operators that state the width of their packed weights in an attribute.
_WIDTHS: Final = {"QMoE": "expert_weight_bits", "GatherBlockQuantized": "bits"}


def _logical(node: Node, place: int, constant: Constant, rules: Rules | None) -> int:
    """Elements a packed weight stands for, where the operator's attributes tell; 0 where it is not packed."""
    if constant.encoding.bits != 8:
        return 0
    keys = _PACKED.get(node.op, {}).get(_input_name(rules, place), ())
    sizes = [size for key in keys if isinstance(size := node.attrs.get(key), int) and size > 0]
    if keys and len(sizes) == len(keys):
        return prod(sizes)
    width = node.attrs.get(_WIDTHS.get(node.op, ""), 8)
    if isinstance(width, int) and width in (1, 2, 4) and role(node, place, constant, rules) == PARAM:
        return constant.numel * (8 // width)
    return 0
