"""ST Edge AI Core (X-CUBE-AI), "optimization: balanced", its default: depthwise layers run in place.

As `st`, but the output of a depthwise layer begins where its input did less one channel vector: C bytes of head-room,
counted with its workspace. Every layer of the generated MLPerf-Tiny streaming wakeword (108 channels) comes out as in
its c_info.json, 5,836 bytes in the largest. The storage of such a pair keeps the larger size until its last reader,
where ST gives the difference back at once: the layer after it then comes to 6,212. An input of the graph is not written
over here, though ST does that too.
"""

from __future__ import annotations

from collections.abc import Iterable

from effaudit.graph import Node
from effaudit.lower import depthwise
from effaudit.ops._registry import Rules
from effaudit.plan.storage import Sharing
from effaudit.runtimes._runtime import Runtime
from effaudit.runtimes._st import ALIGN, runtime_ram, scratch_in_place
from effaudit.runtimes.st import LOWER, NOTES, SOURCES


def over_its_input(node: Node, rules: Rules) -> Iterable[int]:
    """A depthwise layer takes the bytes of its input."""
    return (0,) if depthwise.is_marked(node) else ()


RUNTIME = Runtime(
    name="st-balanced",
    title="ST Edge AI Core (X-CUBE-AI) in balance, depthwise in place",
    sources=SOURCES,
    lower=LOWER,
    sharing=Sharing(views=True, resized=over_its_input),
    align=ALIGN,
    scratch=scratch_in_place,
    persistent=runtime_ram,
    notes=NOTES,
)
