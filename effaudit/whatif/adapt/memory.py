"""What training adapters holds in memory: frozen weights, adapters, their gradients and what the optimizer keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited
from effaudit.graph import Constant
from effaudit.units import human, human_bytes
from effaudit.weights import BUFFER, PARAM, QUANTIZATION
from effaudit.whatif.adapt import Arguments
from effaudit.whatif.types import Detail

if TYPE_CHECKING:
    from effaudit.whatif.adapt.adapted import Adapter

TABLE: Final = "adapters"
MEMORY: Final = "memory to train, without activations"
STATES: Final = {"adam": 8, "sgd": 0}  # bytes per parameter: two moments in float32, or none
DOUBLE_BLOCK: Final = 256  # constants of nf4 that share one of their own: https://arxiv.org/abs/2305.14314, section 3


class Base(msgspec.Struct, frozen=True):
    """Bytes of a frozen weight: its elements, and the constants of their quantization."""

    data: int
    constants: int = 0


class Memory(msgspec.Struct, frozen=True):
    """Bytes that training holds beside activations: `data` of frozen weights with adapters and `constants` of their
    quantization, the `rest` of the frozen weights, adapters, gradients and states of the optimizer; `trained`
    parameters beside `params`."""

    data: int
    constants: int
    rest: int
    adapters: int
    gradients: int
    states: int
    trained: int
    params: int

    @property
    def frozen(self) -> int:
        return self.data + self.constants + self.rest

    @property
    def total(self) -> int:
        return self.frozen + self.adapters + self.gradients + self.states


def trained(adapter: Adapter, rank: int) -> int:
    """Parameters of one adapter: rank x (in + out)."""
    return rank * (adapter.rows + adapter.columns)


def constants(name: str, base: Mapping[str, Base], arguments: Arguments, numel: int) -> int:
    """Bytes of the constants of a weight. Quantized twice, those of nf4 take 8 bits, and one of 32 for each 256."""
    if not arguments.double or not base[name].constants:
        return base[name].constants
    count = -(-numel // 64)
    return count + 4 * -(-count // DOUBLE_BLOCK)


def memory(
    audited: Audited,
    made: Sequence[Adapter],
    weights: Mapping[str, Constant],
    base: Mapping[str, Base],
    arguments: Arguments,
) -> Memory:
    """What training takes. Gradients have the type of the adapters, that of the weights as they were."""
    count = sum(trained(adapter, arguments.rank) for adapter in made)
    stored = sum(trained(adapter, arguments.rank) * adapter.product.weight.encoding.bits // 8 for adapter in made)
    whole = audited.weights.bytes_of(PARAM, BUFFER, QUANTIZATION)
    return Memory(
        data=sum(one.data for one in base.values()),
        constants=sum(constants(name, base, arguments, weights[name].numel) for name in base),
        rest=whole - sum(weight.nbytes for weight in weights.values()),
        adapters=stored,
        gradients=stored,
        states=STATES[arguments.optimizer] * count,
        trained=count,
        params=audited.weights.params,
    )


def rows(made: Sequence[Adapter], base: Mapping[str, Base], total: Memory, arguments: Arguments) -> Iterator[Detail]:
    """A row for each product, and one for each part of the memory."""
    for adapter in made:
        weight = adapter.product.weight
        count, whole = trained(adapter, arguments.rank), weight.numel
        size = weight.encoding.bits // 8
        yield Detail(
            TABLE,
            adapter.product.node.label,
            {
                "in": adapter.rows,
                "out": adapter.columns,
                "rank": arguments.rank,
                "base_params": whole,
                "adapter_params": count,
                "share": count / whole,
                "times_fewer": whole / count,
                "base_data_bytes": base[weight.name].data,
                "base_constant_bytes": constants(weight.name, base, arguments, whole),
                "adapter_bytes": count * size,
                "gradient_bytes": count * size,
                "optimizer_bytes": count * STATES[arguments.optimizer],
                "weight": weight.name,
            },
        )
    parts = {
        "frozen weights with adapters": total.data,
        "their quantization constants": total.constants,
        "other frozen weights": total.rest,
        "adapters": total.adapters,
        "gradients of adapters": total.gradients,
        f"states of {arguments.optimizer}": total.states,
        "total": total.total,
    }
    yield from (Detail(MEMORY, name, {"bytes": size}) for name, size in parts.items())


def said(made: Sequence[Adapter], total: Memory, arguments: Arguments) -> Iterator[str]:
    """Notes for a reader."""
    share = 100 * total.trained / total.params if total.params else 0.0
    yield (
        f"{len(made)} products have adapters of rank {arguments.rank}: {human(total.trained)} trained beside "
        f"{human(total.params)} frozen parameters ({share:.3g} %)"
    )
    yield (
        f"training holds {human_bytes(total.total)} without activations: {human_bytes(total.frozen)} frozen weights, "
        f"{human_bytes(total.adapters)} adapters, {human_bytes(total.gradients)} gradients and "
        f"{human_bytes(total.states)} of {arguments.optimizer}"
    )
    if arguments.double:
        yield (
            "constants of nf4 are counted as quantized twice, 8 bits each and one of 32 bits for 256; the graph holds "
            "them as MatMulBnb4 reads them, once"
        )
    yield "outputs are those of the frozen weights until the adapters are trained: B starts at zero"
