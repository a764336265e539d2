"""Whether a model fits in the memory that is free, asked before it is run: a machine that swaps, or whose kernel ends
processes for want of memory, is worse than a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from effaudit.errors import RunError
from effaudit.graph import Graph, Node, nested
from effaudit.quantity import Quantity
from effaudit.run.cgroups import memory_left, text_of
from effaudit.run.process import Limits
from effaudit.units import human_bytes

RUNTIME_BYTES: Final = 64 << 20  # of the process itself, with ONNX Runtime and numpy
# Weights once, and copies while the session is made: seen 1.2 to 1.3 times the weights for matrix products. Filters
# that are packed for a convolution stand there three times.
PACKED: Final = 0.25
CONVOLVED: Final = 2.0


def needed_bytes(graph: Graph, live: Quantity) -> int:
    """Bytes that running a graph takes at least, as far as they are known: what ONNX Runtime needs for its weights
    while it makes a session, and `live`, the activations at their peak (`Liveness.live_bytes`)."""
    parts = list(nested((graph,)))
    weights = sum(constant.nbytes for part in parts for constant in part.constants.values())
    filters = {(i, node.inputs[1]) for i, part in enumerate(parts) for node in part.nodes if _convolves(node)}
    convolved = sum(parts[i].constants[name].nbytes for i, name in filters if name in parts[i].constants)
    return RUNTIME_BYTES + int(weights * (1 + PACKED) + convolved * (CONVOLVED - PACKED)) + live.low


def _convolves(node: Node) -> bool:
    return node.op in ("Conv", "FusedConv") and len(node.inputs) > 1


def free_bytes(root: Path = Path("/")) -> int | None:
    """Bytes that a new process can have without swapping: what Linux says is available, and what the limits of a
    container leave. None where neither is told."""
    found = [memory_left(root)]
    for line in (text_of(root / "proc/meminfo") or "").splitlines():
        match line.split():
            case ["MemAvailable:", number, "kB"] if number.isdecimal():
                found.append(int(number) * 1024)
    return min((one for one in found if one is not None), default=None)


def guard(name: str, needed: int, limits: Limits, free: int | None) -> None:
    """Nothing where `needed` bytes are free, or may be used as the limits say where they do, or nobody can tell.

    Raises RunError, which names the model and says both figures.
    """
    if limits.memory_bytes is not None:
        if needed > limits.memory_bytes:
            raise RunError(
                f"{name}: running it needs about {human_bytes(needed)} of memory, more than the limit of "
                f"{human_bytes(limits.memory_bytes)}; give it --memory {_mebibytes(needed)}"
            )
    elif free is not None and needed > free:
        raise RunError(
            f"{name}: running it needs about {human_bytes(needed)} of memory, {human_bytes(free)} are free; take "
            f"smaller sizes (--dim), or run it all the same with --memory {_mebibytes(needed)}"
        )


def _mebibytes(number: int) -> str:
    """As an option takes it, rounded up."""
    return f"{-(-number // (1 << 20))}MiB"
