"""What one bad input is, and what the command may do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Expect = Literal["error", "report", "either"]
Content = bytes | Callable[[], bytes]  # a callable where the bytes are many, so that importing costs nothing

TEXT: tuple[str, ...] = ()
NODES: tuple[str, ...] = ("--nodes",)
JSON: tuple[str, ...] = ("--json",)


@dataclass(frozen=True, slots=True)
class Case:
    """`make` writes the input into an empty folder and returns the path the command is given."""

    id: str
    make: Callable[[Path], Path] = field(repr=False)
    expect: Expect
    says: tuple[str, ...] = ()  # patterns, each of which an error's line must match (the path left out)
    runs: tuple[tuple[str, ...], ...] = (JSON,)  # the options of each run
    marked: bool = False  # something in it is wrong: a report must mark a part unknown, or carry a finding
    named: bool = True  # the line holds the file's base name as it is (not where the name itself is hostile)
    verify: Callable[[dict[str, Any]], None] | None = field(
        default=None, repr=False
    )  # looks at the model's entry of a JSON report
    stdin: Literal["none", "file", "zeros", "closed"] = "none"  # other than none: the argument is `-`
    parses: bool = True  # onnx can be asked to read it back (not a 3 GB file, not a FIFO)


def written(content: Content, name: str = "model.onnx") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content())
        return path

    return make


def bad(id: str, content: Content, *says: str, **more: Any) -> Case:
    """Wrong in a way that must show: an error, or a report that marks it."""
    return Case(id, written(content), "either", says, marked=True, **more)


def odd(id: str, content: Content, *says: str, **more: Any) -> Case:
    """Strange, yet a tool may make sense of it."""
    return Case(id, written(content), "either", says, **more)


def legal(id: str, content: Content, **more: Any) -> Case:
    """The specification allows it: it must be reported."""
    return Case(id, written(content), "report", **more)


def broken(id: str, content: Content, *says: str, name: str = "model.onnx", **more: Any) -> Case:
    """Not a model that anything could read: an error."""
    return Case(id, written(content, name), "error", says, **{"runs": (TEXT,), **more})
