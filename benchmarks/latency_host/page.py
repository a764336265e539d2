"""The page: sections of their own, each with the command that made it and the machine, replaced one at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

TITLE: Final = "# Times of this machine: predictions and measurements"
HEAD: Final = f"""{TITLE}

Real architectures with random weights (`benchmarks/latency_host/networks.py`), batch 1, in ONNX Runtime. Every figure
is of one machine, named in each section, and of one run: `python -m benchmarks.latency_host -o docs/prediction.md`.
"""


def section(title: str, command: str, host: Mapping[str, Any], lines: Iterable[str]) -> str:
    """`host` as a document of `effaudit time` states it."""
    parts = [
        f"## {title}",
        "",
        f"```\n{command}\n```",
        "",
        f"{_machine(host)}; load average {os.getloadavg()[0]:.1f} at the end, {time.strftime('%Y-%m-%d')}.",
        "",
        *lines,
    ]
    return "\n".join(parts).rstrip() + "\n"


def _machine(host: Mapping[str, Any]) -> str:
    memory = host["memory_bytes"]
    caches = ", ".join(f"{name} {size >> 10:,} KiB" for name, size in host["caches"].items())
    parts = (
        host["processor"] or host["architecture"],
        f"{host['cores']} cores" if host["cores"] else "",
        caches,
        f"{memory / 2**30:.0f} GiB" if memory else "",
        host["system"],
        f"ONNX Runtime {host['onnxruntime']}",
        f"Python {host['python']}",
    )
    return ", ".join(part for part in parts if part)


def joined(page: str, made: Mapping[str, str]) -> str:
    """The page with these sections in the place of those of the same titles, new ones at the end."""
    _, *old = page.split("\n## ") if page.startswith(TITLE) else [HEAD]
    sections = {text.partition("\n")[0]: f"## {text.rstrip()}\n" for text in old}
    return "\n".join([HEAD.rstrip() + "\n", *{**sections, **made}.values()])
