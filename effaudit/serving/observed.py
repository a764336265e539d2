"""What a reader should know of a model that is served, beside its numbers."""

from __future__ import annotations

from effaudit.audited import Audited
from effaudit.findings import Finding
from effaudit.printable import printable
from effaudit.serving.positions import Positions
from effaudit.serving.sized import Run
from effaudit.serving.types import Roles, ServingAsked
from effaudit.units import human_bytes
from effaudit.views.kv_cache import KVCache
from effaudit.views.kv_cache.view import bits_of


def observed(
    audited: Audited,
    cache: KVCache | None,
    roles: Roles,
    asked: ServingAsked,
    context: int,
    table: Positions | None,
    runs: tuple[Run | None, ...],
) -> tuple[Finding, ...]:
    """The findings, in a fixed order."""
    found = (
        _no_cache(cache, roles, context),
        _beyond(table, context),
        _type(cache, asked),
        _invalid(audited, runs),
    )
    return tuple(finding for finding in found if finding is not None)


def _no_cache(cache: KVCache | None, roles: Roles, context: int) -> Finding | None:
    if roles.cached or cache is None:
        return None
    size = "" if cache.token_bytes.value is None else f"; one would take {human_bytes(cache.token_bytes.value)} a token"
    given = "hands a key/value cache back and takes none" if cache.cached else "has no key/value cache"
    message = f"the model {given}: every new token is a run over the whole context of {context:,}{size}"
    return Finding("no-kv-cache", 1, message, "export it with past keys and values as inputs and outputs")


def _beyond(table: Positions | None, context: int) -> Finding | None:
    if table is None or context <= table.rows:
        return None
    message = f"a context of {context:,} is beyond the {table.rows:,} positions of {printable(table.table, 80)}"
    return Finding("positions", 1, message, f"--context {table.rows} at most", (table.table,))


def _type(cache: KVCache | None, asked: ServingAsked) -> Finding | None:
    if cache is None or asked.kv_dtype is None:
        return None
    own = {t.dtype: t.bits for layer in cache.layers for t in layer.tensors if layer.cached}
    wanted = bits_of(asked.kv_dtype)
    if not own or set(own.values()) == {wanted}:
        return None
    message = f"the file's cache is {', '.join(sorted(own))}; it is counted as if in {asked.kv_dtype}"
    remedy = "arena and estimates have the types of the file; export it with such a cache"
    return Finding("kv-dtype", 1, message, remedy)


def _invalid(audited: Audited, runs: tuple[Run | None, ...]) -> Finding | None:
    broken = [run for run in runs if run is not None and not run.valid]
    if not broken:
        return None
    run = broken[0]
    values = run.graph.values
    why = next((value.why for value in values.values() if value.invalid), "an operator breaks its contract")
    message = f"the graph is not valid with {run.new:,} new and {run.past:,} past tokens: {printable(why, 200)}"
    return Finding("invalid", len(broken), message, "give other sizes, or check the roles of the dims")
