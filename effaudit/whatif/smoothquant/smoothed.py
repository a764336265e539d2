"""The graph with factors moved from activations into weights, and what 8 bits then lose of each product."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Node
from effaudit.lower._rewrite import Wiring
from effaudit.whatif.constants import elements
from effaudit.whatif.draft import Draft
from effaudit.whatif.products import Product, first, named, products, stored
from effaudit.whatif.quantize.spans import feeds
from effaudit.whatif.quantize.types import RANDOM
from effaudit.whatif.smoothquant import OPTION, Arguments, text
from effaudit.whatif.smoothquant.sites import Site, sites
from effaudit.whatif.types import Change, Detail

if TYPE_CHECKING:
    import numpy as np

TABLE: Final = "smoothed products"
LEAST: Final = 1e-5  # of a factor: what the authors' code clamps to, https://github.com/mit-han-lab/smoothquant
OUTLIER: Final = 8  # times the median of the channels
ROWS: Final = 1024  # of the activations of one tensor, on which the loss of 8 bits is measured
BITS: Final = 127  # the largest of a symmetric int8


class Smoothed(msgspec.Struct, frozen=True):
    """One tensor of activations: its channels' largest sizes, those of the weights that read them, and the factors."""

    site: Site
    activations: np.ndarray
    weights: np.ndarray
    factors: np.ndarray


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The smoothed model. Raises UsageError, RunError."""
    from effaudit.run import ranges

    draft = Draft(audited)
    found = products(audited, draft, ("MatMul", "Gemm"), arguments.only, arguments.skip, OPTION)
    places, refused = sites(audited, draft, found.products, insert=arguments.insert)
    blocked = found.blocked(refused)
    if not places:
        raise UsageError(f"{audited.name}: {OPTION}: no product reads activations that can be divided{first(blocked)}")
    inputs, source = feeds(audited, arguments.calibrate, arguments.seed, OPTION)
    names = [site.name for site in places]
    axes = {name: len(audited.graph.values[name].shape or ()) - 1 for name in names}
    seen = ranges(audited.raw, inputs, names, axes=axes, bins=0)
    smoothed = []
    for site in places:
        largest = seen[site.name].channel_absmax
        assert largest is not None
        smoothed.append(_factors(site, largest, float(arguments.alpha)))
    rows = list(_measured(audited, smoothed, inputs))
    wiring = Wiring(audited.graph)
    for one in smoothed:
        _write(draft, wiring, one)
    return Change(
        draft.graph(f"{OPTION} {text(arguments)}"),
        notes=tuple(_notes(smoothed, source, arguments)),
        blocked=blocked,
        details=tuple(rows),
        loss=0.0,
    )


def _factors(site: Site, largest: np.ndarray, alpha: float) -> Smoothed:
    """s = max|X|^alpha / max|W|^(1 - alpha) for each channel; 1 where activations or weights are all zero."""
    import numpy as np

    weights = np.zeros(site.channels)
    for product in site.products:
        weights = np.maximum(weights, np.abs(_matrix(product)).max(axis=1, initial=0.0))
    held = (largest > 0) & (weights > 0) & np.isfinite(weights)
    x, w = np.where(held, largest, 1.0), np.where(held, weights, 1.0)
    return Smoothed(site, largest, weights, np.maximum(x**alpha / w ** (1 - alpha), LEAST))


def _matrix(product: Product) -> np.ndarray:
    """The weights of a product, channels x outputs, in float64. Raises UsageError, LoadError."""
    import numpy as np

    array = elements(product.weight, OPTION).astype(np.float64)
    return array.T if product.node.attrs.get("transB", 0) else array


# ---- what 8 bits lose
def _measured(
    audited: Audited, smoothed: Sequence[Smoothed], inputs: Iterable[Mapping[str, np.ndarray]]
) -> Iterator[Detail]:
    """A row for each product, by the first of the inputs."""
    from effaudit.run import execute

    names = [one.site.name for one in smoothed]
    extra = [name for name in names if name not in audited.raw.outputs and name not in audited.raw.inputs]
    opened = replace(audited.raw, outputs=(*audited.raw.outputs, *extra))
    fed = list(islice(inputs, 1))
    made = [name for name in names if name not in audited.raw.inputs]
    found = execute(opened, fed, outputs=made)[0] if made else {}
    for one in smoothed:
        array = found.get(one.site.name, fed[0].get(one.site.name))
        assert array is not None
        rows = array.reshape(-1, one.site.channels)[:ROWS]
        for product in one.site.products:
            yield _detail(one, product, rows)


def _detail(one: Smoothed, product: Product, rows: np.ndarray) -> Detail:
    import numpy as np

    weight = _matrix(product)
    activations = rows.astype(np.float64)
    exact = activations @ weight
    own = np.abs(weight).max(axis=1, initial=0.0)
    return Detail(
        TABLE,
        product.node.label,
        {
            "sqnr_db": _sqnr(exact, activations, weight, one, one.factors),
            "sqnr_db_before": _sqnr(exact, activations, weight, one, np.ones(one.site.channels)),
            "largest_factor": float(one.factors.max()),
            "smallest_factor": float(one.factors.min()),
            "activation_max_before": float(one.activations.max()),
            "activation_max_after": float((one.activations / one.factors).max()),
            "weight_max_before": float(own.max()),
            "weight_max_after": float((own * one.factors).max()),
            "outlier_channels_before": outliers(one.activations),
            "outlier_channels_after": outliers(one.activations / one.factors),
            "channels": one.site.channels,
        },
    )


def outliers(largest: np.ndarray) -> int:
    """Channels whose largest activation is more than eight times the median of all channels."""
    import numpy as np

    return int((largest > OUTLIER * np.median(largest)).sum())


def _sqnr(exact: np.ndarray, x: np.ndarray, w: np.ndarray, one: Smoothed, factors: np.ndarray) -> float | None:
    """Signal over noise in dB of x w, which is `exact`, both in symmetric int8 with one scale each; None without noise
    or signal."""
    import numpy as np

    steps = (one.activations / factors).max() / BITS, np.abs(w * factors[:, None]).max() / BITS
    if not all(steps):
        return None
    coarse = _rounded(x / factors, steps[0]) @ _rounded(w * factors[:, None], steps[1])
    noise, signal = float(np.square(exact - coarse).sum()), float(np.square(exact).sum())
    return 10 * float(np.log10(signal / noise)) if 0 < noise < np.inf and signal > 0 else None


def _rounded(array: np.ndarray, step: float) -> np.ndarray:
    import numpy as np

    found: np.ndarray = np.clip(np.rint(array / step), -BITS, BITS) * step
    return found


# ---- the new graph
def _write(draft: Draft, wiring: Wiring, one: Smoothed) -> None:
    """Divides what makes the activations, or a Mul does; multiplies the weights."""
    import numpy as np

    site = one.site
    weights: dict[str, str] = {}
    for product in site.products:
        name = product.node.inputs[1]
        if name not in weights:
            made = elements(product.weight, OPTION).astype(np.float64)
            turned = product.node.attrs.get("transB", 0)
            weights[name] = _put(draft, name, made * (one.factors if turned else one.factors[:, None]), shared=False)
    source = site.name
    if not site.scales:
        source = draft.fresh(f"{site.name}.smooth")
        node = Node(named(site.products[0].node, "smooth"), "", "Mul", (site.name, _inverse(draft, one)), (source,), {})
        draft.put(site.products[0].i, node, *draft.at(site.products[0].i))
    for i, slot in site.scales:
        own = draft.own(i)
        name = own.inputs[slot]
        constant = draft.constant(name)
        assert constant is not None
        made = elements(constant, OPTION).astype(np.float64) / one.factors
        others = len(wiring.readers.get(name, ())) > 1 or name in wiring.pinned
        divided = _put(draft, name, made, shared=others)
        draft.instead(i, replace(own, inputs=_with(own, slot, divided)))
    for product in site.products:
        own = draft.own(product.i)
        draft.instead(product.i, replace(own, inputs=(source, weights[own.inputs[1]], *own.inputs[2:])))


def _with(node: Node, slot: int, name: str) -> tuple[str, ...]:
    return tuple(name if i == slot else one for i, one in enumerate(node.inputs))


def _inverse(draft: Draft, one: Smoothed) -> str:
    """The factors that activations are multiplied by, as the weights are stored."""
    weight = one.site.products[0].weight
    return draft.add(f"{one.site.name}.factors", stored("", 1 / one.factors, weight, (one.site.channels,)))


def _put(draft: Draft, name: str, array: np.ndarray, *, shared: bool) -> str:
    """The name of a tensor with other elements: its own, or a new one where others read it as it was."""
    source = draft.constant(name)
    assert source is not None
    made = stored(name, array, source, source.shape)
    if shared:
        return draft.add(f"{name}.smooth", made)
    draft.exchange(name, made)
    return name


def _notes(smoothed: Sequence[Smoothed], source: str, arguments: Arguments) -> Iterator[str]:
    inserted = sum(not one.site.scales for one in smoothed)
    count = sum(len(one.site.products) for one in smoothed)
    yield f"{count} products read {len(smoothed)} tensors of activations divided by factors of {source}"
    if arguments.calibrate == RANDOM:
        yield "marked random: factors come from random inputs"
    if inserted:
        yield f"{inserted} Mul nodes divide what no norm scales"
    yield "outputs stay as they were; the SQNR is of int8 with one scale per tensor, on the first input"
