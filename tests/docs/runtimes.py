"""The runtimes in docs/runtimes.md, from the modules that hold their rules."""

from __future__ import annotations

import importlib
import inspect
import re

from effaudit.runtimes import find, names


def sections() -> str:
    """A section per runtime: its rules in words, its planner, what a reader must know, where it was read."""
    return "\n\n".join(map(_section, names()))


def _section(name: str) -> str:
    runtime = find(name)
    text = inspect.cleandoc(importlib.import_module(f"effaudit.runtimes.{name.replace('-', '_')}").__doc__ or "")
    prose = re.sub(r"\s*\n(?!\n)", " ", text.replace("\n\n", "\0")).replace("\0", "\n\n")
    rows = {
        "planner": runtime.planner,
        "alignment": f"{runtime.align} byte{'s' if runtime.align > 1 else ''}",
        "order": "its own" if runtime.orders else "that of the file",
        "graph inputs": "in the arena" if runtime.inputs else "in the caller's memory",
        "views": "share storage" if runtime.sharing.views else "have tensors of their own",
        "kernel workspaces": "known" if runtime.scratch is not None else "not known",
        "persistent bytes": "known" if runtime.persistent is not None else "not known",
    }
    table = ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]
    notes = [f"- {note[:1].upper()}{note[1:]}." for note in runtime.notes]
    sources = ["Read in:", "", *(f"- <{source}>" for source in runtime.sources)] if runtime.sources else []
    parts = [f"### {name}", prose, "\n".join(table), "\n".join(notes), "\n".join(sources)]
    return "\n\n".join(part for part in parts if part)
