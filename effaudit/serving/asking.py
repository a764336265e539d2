"""What is asked against what the file leaves open -> the sizes that a model is served at."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.errors import UsageError
from effaudit.serving.needs import Shape
from effaudit.serving.types import Origin, Role, Roles, ServingAsked
from effaudit.views.kv_cache import KVCache

MOST: Final = 2**40  # tokens or sequences
PROMPT: Final = 2048  # an assumption, and said so in the notes; servers feed long prompts in pieces of such a size


class Sizes(msgspec.Struct, frozen=True):
    """The sizes to serve at. `positions` is the longest context that the graph has positions for."""

    batch: int
    context: int
    shape: Shape
    positions: int | None
    fixed_batch: bool
    fixed_context: bool
    prompt_assumed: bool
    why_no_prefill: str = ""
    why_no_decode: str = ""


def asked_sizes(path: str, found: Roles, cache: KVCache, asked: ServingAsked, positions: int | None) -> Sizes:
    """The sizes of a model with these roles. Raises UsageError where one is missing or contradicts the file."""
    for option, size in (("--batch-size", asked.batch), ("--context", asked.context), ("--prompt", asked.prompt)):
        if size is not None and not 1 <= size <= MOST:
            raise UsageError(f"{option}: {size}: expected a number of 1 to {MOST:,}")
    batch = _one_of(path, "--batch-size", asked.batch, found.size("batch"), "batch") or 1
    fixed = _fixed_context(found)
    if found.get("new") is None:
        raise UsageError(f"{path}: which dim is the number of new tokens cannot be told; give it with --dim NAME=N")
    context = _one_of(path, "--context", asked.context, fixed, "context") or positions
    if context is None:
        raise UsageError(f"{path}: how many tokens shall a sequence have? the file states none; give --context N")
    if asked.prompt is not None and asked.prompt > context:
        raise UsageError(f"--prompt: {asked.prompt:,} tokens are more than the context of {context:,}")
    why_no_prefill = _no_prefill(found)
    why_no_decode = _no_decode(found, cache)
    prompt = asked.prompt or (min(PROMPT, context) if found.cached else context)
    step = None if why_no_decode else found.size("new") or 1
    if step is not None and step > context:
        raise UsageError(f"{path}: the file takes {step:,} new tokens a run; give --context {step} or more")
    prompts = 1 if found.cached and found.open("batch") else None
    shape = Shape(step, None if why_no_prefill else prompt, found.cached, found.size("past"), prompts)
    return Sizes(
        batch=batch,
        context=context,
        shape=shape,
        positions=positions,
        fixed_batch=not found.open("batch"),
        fixed_context=fixed is not None,
        prompt_assumed=asked.prompt is None,
        why_no_prefill=why_no_prefill,
        why_no_decode=why_no_decode,
    )


def with_origins(found: Roles, asked: ServingAsked, *, steps: bool) -> tuple[Role, ...]:
    """The roles, and who says how large each is; `steps` where the model is run a token at a time."""
    lengths = asked.context if steps or not found.cached else asked.prompt
    said = {"batch": asked.batch, "new": None if steps else lengths}

    def origin(row: Role) -> Origin:
        if row.size is not None or row.role == "encoder":
            return ""
        return "default" if said.get(row.role, lengths) is None else "asked"

    return tuple(msgspec.structs.replace(row, origin=origin(row)) for row in found.rows)


def _fixed_context(found: Roles) -> int | None:
    """The context that the file fixes; None where it is open."""
    new = found.size("new")
    if found.size("capacity") is not None:
        return found.size("capacity")
    if not found.cached:
        return new
    past = found.size("past")
    return None if past is None else past + (new or 1)


def _no_prefill(found: Roles) -> str:
    """Why a prompt cannot be run at once, "" where it can."""
    new, past = found.size("new"), found.size("past")
    if found.cached and new is not None:
        return f"the file takes {new:,} new token{'s' if new > 1 else ''} a run: a prompt takes as many runs"
    return f"the file fixes {past:,} tokens in the cache: it cannot start with none" if past else ""


def _no_decode(found: Roles, cache: KVCache) -> str:
    """Why there is no decode step, "" where there is."""
    if found.cached:
        return ""
    return "the model hands a cache back and takes none" if cache.cached else "the model has no key/value cache"


def _one_of(path: str, option: str, asked: int | None, fixed: int | None, what: str) -> int | None:
    """The size asked for, or the file's own. Raises UsageError where they differ."""
    if asked is not None and fixed is not None and asked != fixed:
        raise UsageError(f"{option} {asked}: {path} fixes the {what} at {fixed}; export it with that axis open")
    return asked if asked is not None else fixed
