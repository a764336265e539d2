"""What operators make of constants, for those whose results every runtime agrees on to the last bits.

https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from effaudit.graph import BOOL, Constant, Encoding, Node
from effaudit.load.values import values
from effaudit.whatif.constants import missing
from effaudit.whatif.fold._model import Model

if TYPE_CHECKING:
    import numpy as np

Compute = Callable[..., "np.ndarray"]

_NATIVE: Final = frozenset("float16 float32 float64 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool".split())
_FLOATS: Final = frozenset("float16 float32 float64".split())
_SAME_ORDER: Final = frozenset("Reshape Flatten Squeeze Unsqueeze Identity".split())
_ELEMENTWISE: Final = frozenset("Add Sub Mul Div Neg Sqrt Pow Abs Reciprocal Where".split())
MAX_INDICES: Final = 1 << 20
_QUANTIZED: Final = frozenset("int8 uint8 int16 uint16".split())


class Refused(Exception):
    """Why a node is not computed ahead."""


def computer(
    model: Model, node: Node, sources: Sequence[Constant], shape: tuple[int, ...], encoding: Encoding
) -> Compute:
    """A function of the elements of `sources` (the inputs of the node, in order) that makes its result. Raises Refused
    for what is not computed here."""
    if node.domain:
        raise Refused("nothing here computes it")
    op, source = node.op, sources[0] if sources else None
    if op in _ELEMENTWISE:
        return _elementwise(model, node, sources, encoding)
    if source is None:
        raise Refused("nothing here computes it")
    if op in _SAME_ORDER:
        return lambda held, *_: held.reshape(shape)
    if op == "Expand":
        return lambda held, *_: _spread(held, shape)
    if op == "Transpose":
        perm = node.attrs.get("perm") or tuple(range(len(source.shape)))[::-1]
        return lambda held: held.transpose(perm)
    if op == "Concat":
        axis = node.attrs.get("axis", 1)
        return lambda *held: _joined(held, axis)
    if op == "Cast":
        return _cast(source, encoding)
    if op == "ConstantOfShape":
        return _filled(node, shape, encoding)
    if op == "Gather":
        return _gathered(node, sources, shape)
    if op in ("Slice", "Tile"):
        return _picked(model, node, shape)
    if op == "QuantizeLinear":
        return _quantized(model, node, sources, encoding)
    raise Refused("nothing here computes it")


def _spread(held: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    import numpy as np

    return np.broadcast_to(held, shape)


def _joined(held: Sequence[np.ndarray], axis: int) -> np.ndarray:
    import numpy as np

    return np.concatenate(held, axis)


def _elementwise(model: Model, node: Node, sources: Sequence[Constant], encoding: Encoding) -> Compute:
    import numpy as np

    if encoding.dtype not in _NATIVE or encoding == BOOL or model.opset < 7:
        raise Refused("nothing here computes it in this type")
    if node.op not in ("Add", "Sub", "Mul", "Where") and encoding.dtype not in _FLOATS:
        raise Refused("nothing here computes it in this type")
    if any(one.encoding != encoding for one in (sources[1:] if node.op == "Where" else sources)):
        raise Refused("nothing here computes it of several types")
    functions: Mapping[str, Compute] = {
        "Add": np.add,
        "Sub": np.subtract,
        "Mul": np.multiply,
        "Div": np.divide,
        "Neg": np.negative,
        "Sqrt": np.sqrt,
        "Pow": np.power,
        "Abs": np.abs,
        "Reciprocal": lambda x: 1 / x,
        "Where": np.where,
    }
    function, dtype = functions[node.op], encoding.dtype

    def made(*held: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function(*held)).astype(dtype, copy=False)

    return made


def _cast(source: Constant, encoding: Encoding) -> Compute:
    """To a type that holds every number of the first, or between floating types."""
    kinds = source.encoding.dtype, encoding.dtype
    if kinds[0] not in _NATIVE or kinds[1] not in _NATIVE:
        raise Refused("nothing here computes it in this type")
    if kinds[0] in _FLOATS and kinds[1] not in _FLOATS:
        raise Refused("runtimes round differently where numbers do not fit")

    def made(held: np.ndarray) -> np.ndarray:
        import numpy as np

        with np.errstate(all="ignore"):
            return held.astype(kinds[1])

    return made


def _filled(node: Node, shape: tuple[int, ...], encoding: Encoding) -> Compute:
    """https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html"""
    stated = node.attrs.get("value")
    if encoding.dtype not in _NATIVE or (isinstance(stated, Constant) and missing(stated)):
        raise Refused("nothing here computes it in this type")

    def made(*_: np.ndarray) -> np.ndarray:
        import numpy as np

        element = values(stated).reshape(-1)[0] if isinstance(stated, Constant) else 0
        return np.full(shape, element, encoding.dtype)

    return made


def _gathered(node: Node, sources: Sequence[Constant], shape: tuple[int, ...]) -> Compute:
    """https://onnx.ai/onnx/operators/onnx__Gather.html"""
    axis = node.attrs.get("axis", 0)
    size = sources[0].shape[axis]
    if sources[1].numel > MAX_INDICES:
        raise Refused(f"more than {MAX_INDICES:,} indices")
    if sources[1].numel and not missing(sources[1]):
        indices = values(sources[1])
        if indices.min() < -size or indices.max() >= size:
            raise Refused("its indices lie outside what it gathers from")
    return lambda held, indices: held.take(indices, axis).reshape(shape)


def _picked(model: Model, node: Node, shape: tuple[int, ...]) -> Compute:
    """Slice and Tile by indices that are known."""
    given = [model.data(name) if name else () for name in node.inputs[1:]]
    if not given or None in given:
        raise Refused("nothing here computes it by these indices")
    known: list[tuple[Any, ...]] = [one for one in given if one is not None]
    if node.op == "Tile":
        return lambda held, *_: _tiled(held, known[0], shape)
    starts, ends, axes, steps = (*known, (), ())[:4]
    places = tuple(axes or range(len(starts)))
    cuts = tuple(zip(places, starts, ends, steps or (1,) * len(starts), strict=True))
    if any(step <= 0 for *_, step in cuts):
        raise Refused("nothing here computes it by these steps")
    return lambda held, *_: _sliced(held, cuts)


def _tiled(held: np.ndarray, repeats: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    import numpy as np

    return np.tile(held, tuple(repeats)).reshape(shape)


def _sliced(held: np.ndarray, cuts: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
    where = [slice(None)] * held.ndim
    for axis, start, end, step in cuts:
        where[axis] = slice(start, end, step)
    cut: np.ndarray = held[tuple(where)]
    return cut


def _quantized(model: Model, node: Node, sources: Sequence[Constant], encoding: Encoding) -> Compute:
    """https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html"""
    import numpy as np

    if encoding.dtype not in _QUANTIZED or sources[0].encoding.dtype != "float32" or node.attrs.get("block_size", 0):
        raise Refused("nothing here computes it in this type")
    if sources[1].encoding.dtype != "float32":
        raise Refused("nothing here computes it in this type")
    axis, rank = node.attrs.get("axis", 1), len(sources[0].shape)
    low, high = int(np.iinfo(encoding.dtype).min), int(np.iinfo(encoding.dtype).max)

    def made(held: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None) -> np.ndarray:
        along = [1] * rank
        if scale.size > 1:
            along[axis] = -1
        offset = 0 if zero is None else zero.astype(np.float64).reshape(along if zero.size > 1 else ())
        with np.errstate(all="ignore"):
            levels = np.rint(held / scale.reshape(along if scale.size > 1 else ())) + offset
        clipped: np.ndarray = np.clip(np.nan_to_num(levels), low, high).astype(encoding.dtype)
        return clipped

    return made
