"""Random small networks of sliding layers, and a machine that runs them tile by tile. Shares no code with effaudit.

The machine knows which input positions each output position reads, one by one; of a tile it computes what it is told
to, and refuses to read what was not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Box = tuple[tuple[int, int], ...]  # half open, along rows and columns


class Net:
    """A network under construction; the last tensor made is its output."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.rng = rng
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.shapes: dict[str, tuple[int, int, int]] = {"x": (2, *size)}
        self.last = "x"

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, op: str, inputs: list[str], shape: tuple[int, int, int], **attrs: object) -> None:
        self.last = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [self.last], self.last, **attrs))
        self.shapes[self.last] = shape

    def layer(self, kind: str) -> None:
        """One more layer, of random numbers; none where it does not fit."""
        made = getattr(self, kind)
        made(*self.shapes[self.last])

    def _window(self, h: int, w: int, *, pooling: bool) -> tuple[dict[str, object], list[int]] | None:
        rng, sizes, attrs = self.rng, [], {}
        kernel, strides, dilations = (list(map(int, rng.integers(1, 4, 2))) for _ in range(3))
        extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        attrs = {"kernel_shape": kernel, "strides": strides, "dilations": dilations}
        if rng.integers(4) == 0:
            attrs["auto_pad"] = ["SAME_UPPER", "SAME_LOWER"][int(rng.integers(2))]
            # ONNX Runtime refuses dilations here, and windows of a pool that are further apart than long.
            attrs["dilations"] = [1, 1]
            attrs["strides"] = strides = [min(k, s) for k, s in zip(kernel, strides, strict=True)]
            return attrs, [-(-n // s) for n, s in zip((h, w), strides, strict=True)]
        most = kernel if pooling else [extent + 1 for extent in extents]
        pads = [int(rng.integers(0, m)) for m in (*most, *most)]
        ceil = pooling and bool(rng.integers(2))
        for i, n in enumerate((h, w)):
            span = n + pads[i] + pads[i + 2] - extents[i]
            if span < 0:
                return None
            count = (-(-span // strides[i]) if ceil else span // strides[i]) + 1
            if ceil and (count - 1) * strides[i] >= n + pads[i]:
                count -= 1
            sizes.append(count)
        attrs["pads"] = pads
        if ceil:
            attrs["ceil_mode"] = 1
        return attrs, sizes

    def conv(self, c: int, h: int, w: int) -> None:
        found = self._window(h, w, pooling=False)
        if found is None:
            return
        attrs, sizes = found
        group = int(self.rng.choice([1, c]))
        weights = self.rng.integers(-1, 2, (2 * (c // 2), c // group, *attrs["kernel_shape"])).astype(np.float32)  # type: ignore[misc]
        out = (weights.shape[0], sizes[0], sizes[1])
        self.add("Conv", [self.last, self.constant(weights)], out, group=group, **attrs)

    def pool(self, c: int, h: int, w: int) -> None:
        found = self._window(h, w, pooling=True)
        if found is not None:
            self.add("MaxPool", [self.last], (c, *found[1]), **found[0])  # type: ignore[arg-type]

    def transposed(self, c: int, h: int, w: int) -> None:
        k, s, p = (int(v) for v in self.rng.integers(1, 4, 3))
        p = min(p, k) - 1
        sizes = [s * (n - 1) + k - 2 * p for n in (h, w)]
        if min(sizes) >= 1 and max(sizes) < 40:
            weights = self.rng.integers(-1, 2, (c, 2, k, k)).astype(np.float32)
            attrs = {"strides": [s, s], "pads": [p] * 4}
            self.add("ConvTranspose", [self.last, self.constant(weights)], (2, *sizes), **attrs)  # type: ignore[arg-type]

    def grow(self, c: int, h: int, w: int) -> None:
        if max(h, w) < 20:
            scales = self.constant(np.array([1, 1, 2, 3], np.float32))
            place = ["asymmetric", "half_pixel"][int(self.rng.integers(2))]
            rounding = "floor" if place == "asymmetric" else "round_prefer_floor"
            attrs = {"mode": "nearest", "coordinate_transformation_mode": place, "nearest_mode": rounding}
            self.add("Resize", [self.last, "", scales], (c, 2 * h, 3 * w), **attrs)

    def edge(self, c: int, h: int, w: int) -> None:
        top, left, bottom, right = (int(v) for v in self.rng.integers(0, 3, 4))
        pads = self.constant(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        mode = ["constant", "edge"][int(self.rng.integers(2))]
        self.add("Pad", [self.last, pads], (c, h + top + bottom, w + left + right), mode=mode)

    def relu(self, c: int, h: int, w: int) -> None:
        self.add("Relu", [self.last], (c, h, w))

    def branch(self, c: int, h: int, w: int) -> None:
        """A sum with an earlier tensor of the same shape, or a join with one of the same size."""
        alike = [name for name, shape in self.shapes.items() if shape == (c, h, w)]
        joined = [name for name, shape in self.shapes.items() if shape[1:] == (h, w)]
        if self.rng.integers(3):
            self.add("Add", [self.last, alike[int(self.rng.integers(len(alike)))]], (c, h, w))
        elif c <= 2:
            other = joined[int(self.rng.integers(len(joined)))]
            self.add("Concat", [self.last, other], (c + self.shapes[other][0], h, w), axis=1)

    def model(self) -> ModelProto:
        c, h, w = self.shapes["x"]
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, c, h, w])],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, [1, *self.shapes[self.last]])],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


KINDS = ("conv", "pool", "transposed", "grow", "edge", "relu", "branch")


def net(layers: tuple[str, ...], seed: int) -> Net:
    """A network of these layers; at most three of them multiply, so that sums stay exact in single precision."""
    rng = np.random.default_rng(seed)
    made = Net(rng, (int(rng.integers(4, 15)), int(rng.integers(4, 15))))
    for kind in layers:
        made.layer(kind)
    return made


@dataclass
class Machine:
    """Runs the nodes that an output needs, on tiles. Counts multiplications and the bytes of the arrays it holds."""

    net: Net
    data: np.ndarray  # the input, 2 x H x W
    macs: int = 0
    peak: int = 0
    nodes: list[NodeProto] = field(default_factory=list)
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = {self.net.last}
        for node in reversed(self.net.nodes):
            if wanted & set(node.output):
                self.nodes.insert(0, node)
                wanted |= set(node.input)
        self.constants = {c.name: numpy_helper.to_array(c) for c in self.net.constants}

    def attrs(self, node: NodeProto) -> dict[str, object]:
        return {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def activations(self, node: NodeProto) -> list[str]:
        return [name for name in dict.fromkeys(node.input) if name in self.net.shapes]

    def taps(self, node: NodeProto, axis: int, out: int) -> list[int | None]:
        """The input positions, tap by tap, that one output position reads; outside the input: padding; None: none."""
        attrs, size = self.attrs(node), self.net.shapes[node.input[0]][1 + axis]
        if node.op_type in ("Conv", "MaxPool"):
            k, s, d = (attrs[name][axis] for name in ("kernel_shape", "strides", "dilations"))  # type: ignore[index]
            if "auto_pad" in attrs:
                count = self.net.shapes[node.output[0]][1 + axis]
                both = max((count - 1) * s + (k - 1) * d + 1 - size, 0)
                pad = both // 2 if attrs["auto_pad"] == b"SAME_UPPER" else both - both // 2
            else:
                pad = attrs["pads"][axis]  # type: ignore[index]
            return [out * s - pad + j * d for j in range(k)]
        if node.op_type == "ConvTranspose":
            s, pad = attrs["strides"][axis], attrs["pads"][axis]  # type: ignore[index]
            kernel = self.constants[node.input[1]].shape[2 + axis]
            found: list[int | None] = [None] * kernel
            for i in range(size):
                if 0 <= out + pad - i * s < kernel:
                    found[out + pad - i * s] = i
            return found
        if node.op_type == "Resize":
            return [out // (2, 3)[axis]]
        if node.op_type == "Pad":
            at = out - int(self.constants[node.input[1]][2 + axis])
            return [min(max(at, 0), size - 1) if attrs["mode"] == b"edge" else at]
        return [out]

    def reads(self, node: NodeProto, axis: int, span: tuple[int, int]) -> tuple[int, int] | None:
        """The least span of real input positions behind a span of outputs."""
        size = self.net.shapes[node.input[0]][1 + axis]
        real = [t for out in range(*span) for t in self.taps(node, axis, out) if t is not None and 0 <= t < size]
        return (min(real), max(real) + 1) if real else None

    def needed(self, tile: Box) -> dict[str, Box] | None:
        """What of every tensor a tile takes; None where a window reads nothing but padding."""
        boxes = {self.net.last: tile}
        for node in reversed(self.nodes):
            box = tuple(self.reads(node, axis, span) for axis, span in enumerate(boxes[node.output[0]]))
            if None in box:
                return None
            for name in self.activations(node):
                other = boxes.get(name, box)
                boxes[name] = tuple((min(a, c), max(b, d)) for (a, b), (c, d) in zip(box, other, strict=True))  # type: ignore[misc]
        return boxes

    def run(self, boxes: Mapping[str, Box], *, resident: bool, out: np.ndarray) -> None:
        """Runs one tile into `out`, each tensor computed on its box and freed after its last reader."""
        held: dict[str, np.ndarray] = {"x": self.data[_slices(boxes["x"])]}
        kept = out.nbytes + (self.data.nbytes if resident else 0)
        for i, node in enumerate(self.nodes):
            name = node.output[0]
            held[name] = self.compute(node, boxes, held)
            alive = [a for n, a in held.items() if n != self.net.last and not (resident and n == "x")]
            self.peak = max(self.peak, kept + sum(a.nbytes for a in alive))
            later = {n for other in self.nodes[i + 1 :] for n in other.input}
            held = {n: a for n, a in held.items() if n in later or n == self.net.last}
        out[_slices(boxes[self.net.last])] = held[self.net.last]

    def compute(self, node: NodeProto, boxes: Mapping[str, Box], held: Mapping[str, np.ndarray]) -> np.ndarray:
        (top, bottom), (left, right) = box = boxes[node.output[0]]
        rows = [self.taps(node, 0, out) for out in range(top, bottom)]
        columns = [self.taps(node, 1, out) for out in range(left, right)]
        first = node.input[0]
        if node.op_type in ("Add", "Concat"):
            parts = [held[n][_slices(box, boxes[n])] for n in node.input]
            return parts[0] + parts[1] if node.op_type == "Add" else np.concatenate(parts)
        empty = -np.inf if node.op_type == "MaxPool" else 0.0
        shape = (len(rows[0]), len(columns[0]), self.net.shapes[first][0], len(rows), len(columns))
        windows = np.full(shape, empty, np.float32)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                for a, y in enumerate(row):
                    for b, x in enumerate(column):
                        at = self.inside(first, boxes, y, x)
                        if at is not None:
                            windows[a, b, :, i, j] = held[first][:, at[0], at[1]]
        if node.op_type == "MaxPool":
            return windows.max(axis=(0, 1))
        if node.op_type == "Conv":
            return self.convolved(node, windows)
        if node.op_type == "ConvTranspose":
            weights = self.constants[node.input[1]]  # C x M x kernel
            self.macs += held[first].size * weights[0].size
            return np.einsum("abchw,cmab->mhw", windows, weights)
        made = windows[0, 0]
        return np.maximum(made, 0) if node.op_type == "Relu" else made

    def inside(self, name: str, boxes: Mapping[str, Box], y: int | None, x: int | None) -> tuple[int, int] | None:
        """The place of a position in its tile; None in the padding. Fails where the tile lacks it."""
        _, h, w = self.net.shapes[name]
        if y is None or x is None or not (0 <= y < h and 0 <= x < w):
            return None
        (top, bottom), (left, right) = boxes[name]
        assert top <= y < bottom and left <= x < right, f"{name} [{y}, {x}] was not computed"
        return y - top, x - left

    def convolved(self, node: NodeProto, windows: np.ndarray) -> np.ndarray:
        weights = self.constants[node.input[1]]
        group = int(self.attrs(node)["group"])  # type: ignore[call-overload]
        made = []
        for g in range(group):
            part = windows[:, :, g * weights.shape[1] : (g + 1) * weights.shape[1]]
            own = weights[g * (len(weights) // group) : (g + 1) * (len(weights) // group)]
            self.macs += own.size * windows.shape[3] * windows.shape[4]
            made.append(np.einsum("abchw,mcab->mhw", part, own))
        return np.concatenate(made)


def _slices(box: Box, within: Box = ((0, 0), (0, 0))) -> tuple[slice, ...]:
    return (slice(None), *(slice(a - low, b - low) for (a, b), (low, _) in zip(box, within, strict=True)))
