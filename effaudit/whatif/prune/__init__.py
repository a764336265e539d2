"""Pruning: fewer channels, fewer weights, N of every M, fewer blocks, or the channels that nothing depends on.

Weights are zeroed in place: the network computes with the zeros, and what they save depends on how they are stored and
on kernels that skip them. Channels are cut out of every tensor they reach.
"""

from __future__ import annotations

from effaudit.audited import Audited
from effaudit.whatif.prune.arguments import CALIBRATED, Arguments, parse, text
from effaudit.whatif.types import Change

__all__ = ["Arguments", "parse", "rewrite", "text"]


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model pruned as the arguments say. Raises UsageError where nothing can be."""
    way = arguments.way
    if way == "dead":
        from effaudit.whatif.prune import dead

        return dead.rewrite(audited)
    if way in ("channels", "indices"):
        return _channels(audited, arguments)
    if arguments.criterion in CALIBRATED:
        from effaudit.whatif.prune import calibrated

        return calibrated.rewrite(audited, arguments)
    held = {key: getattr(arguments, key) for key in ("only", "skip", "storage")}
    if way == "pattern":
        from effaudit.whatif.prune import semi_structured

        return semi_structured.rewrite(audited, *arguments.kept, **held, written=text(arguments))
    assert arguments.sparsity is not None
    held |= {"per_layer": arguments.scope == "layer", "written": text(arguments)}
    if way == "block":
        from effaudit.whatif.prune import block

        return block.rewrite(audited, arguments.tile, arguments.sparsity, **held)
    from effaudit.whatif.prune import sparsity

    return sparsity.rewrite(audited, arguments.sparsity, **held)


def _channels(audited: Audited, arguments: Arguments) -> Change:
    from effaudit.whatif.prune import channels

    chosen = channels.Channels(
        ratio=arguments.channels,
        criterion="indices" if arguments.indices else arguments.criterion,
        scope="global" if arguments.scope == "global" else "group",
        round_to=arguments.round,
        only=tuple(filter(None, arguments.only.split("|"))),
        skip=tuple(filter(None, arguments.skip.split("|"))),
        indices=arguments.indices,
    )
    return channels.rewrite(audited, chosen)
