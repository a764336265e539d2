"""Inputs drawn by chance: of the types and shapes a graph takes, and within what its operators accept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from effaudit.errors import UsageError
from effaudit.graph import Graph, Value
from effaudit.run.dtypes import FED
from effaudit.run.limits import Use, uses

if TYPE_CHECKING:
    import numpy as np

SEED: Final = 0
_FEW: Final = 8  # integers whose use tells nothing are below this


def random_inputs(graph: Graph, count: int, seed: int = SEED) -> list[dict[str, np.ndarray]]:
    """`count` inputs for a graph with shapes in numbers; the same for the same seed.

    Floats are drawn from N(0, 1). Integers that select rows of a table lie within it, masks are ones, positions count
    up, lengths are those of the tensors they go with; 8-bit integers take their whole range.
    Raises UsageError for an input whose shape is open, or of a type that cannot be drawn.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    found = uses(graph)
    wanted = {name: _value(graph, name) for name in graph.inputs}
    return [{name: _drawn(name, value, found[name], draw) for name, value in wanted.items()} for _ in range(count)]


def _value(graph: Graph, name: str) -> Value:
    value = graph.values.get(name) or graph.declared.get(name)
    where = f"{graph.source.path or 'this graph'}: input {name!r}"
    if value is None or value.shape is None:
        raise UsageError(f"{where}: its shape is not known; set it with --shape {name}=...")
    dims = [dim for dim in value.shape if not isinstance(dim, int)]
    if dims:
        raise UsageError(f"{where}: its dim {dims[0]} is open; set it with --dim {dims[0]}=N")
    if value.encoding.dtype not in FED or value.encoding.dtype == "string":
        raise UsageError(f"{where}: {value.encoding.dtype} cannot be drawn by chance; give a folder of .npz files")
    return value


def _drawn(name: str, value: Value, use: Use, draw: np.random.Generator) -> np.ndarray:
    import numpy as np

    shape: Any = value.shape
    dtype = np.dtype(value.encoding.dtype)
    if dtype.kind == "f":
        if _is(name, "mask"):  # whether it multiplies or is added before a softmax, ones leave everything in
            return np.ones(shape, dtype)
        return np.asarray(draw.standard_normal(shape)).astype(dtype)
    if dtype.kind == "b":
        return np.ones(shape, dtype) if use.ones or _is(name, "mask") else np.asarray(draw.random(shape) < 0.5)
    return np.asarray(_integers(name, use, dtype, draw)(shape)).astype(dtype)


def _integers(name: str, use: Use, dtype: Any, draw: np.random.Generator) -> Callable[[Any], Any]:
    """What fills an array of integers."""
    import numpy as np

    if use.exact is not None:
        exact = use.exact
        return lambda shape: np.full(shape, exact)
    if _is(name, "mask"):
        return np.ones
    if _is(name, "position"):
        top = use.below or np.iinfo(dtype).max
        return lambda shape: np.arange(shape[-1]) % top + np.zeros(shape) if shape else 0
    if use.below is not None:
        below = use.below
        return lambda shape: draw.integers(0, max(below, 1), shape)
    if dtype.itemsize == 1:
        info = np.iinfo(dtype)
        return lambda shape: draw.integers(info.min, info.max, shape, endpoint=True)
    return lambda shape: draw.integers(0, _FEW, shape)


def _is(name: str, what: str) -> bool:
    return what in name.lower()
