"""Where in the file of a graph its parts lie: what a rewrite left alone keeps its bytes.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final

from effaudit.graph import Graph, Node
from effaudit.load.feed import FileFeed, take
from effaudit.load.wire import text
from effaudit.save.layout import scan
from effaudit.save.message import Span

NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO, SPARSE = 1, 5, 11, 12, 13, 15
_SPARSE_VALUES: Final = 1
Field = tuple[int, int, Span, Span]  # number, wire type, the whole field, its content


class File:
    """The model file, open for reading."""

    def __init__(self, fd: int, size: int, name: str) -> None:
        self.fd, self.size, self.name = fd, size, name

    def fields(self, *spans: Span) -> Iterator[Field]:
        """The fields of a message, of all its pieces in turn."""
        for span in spans:
            feed = FileFeed(self.fd, self.size)
            for number, wire, tag, start, stop in scan(feed, span.start, span.stop):
                yield number, wire, Span(tag, stop), Span(start, stop)

    def text(self, span: Span) -> str:
        size = span.stop - span.start
        return text(take(FileFeed(self.fd, self.size), span.start, size, self.name), 0, size)

    def name_in(self, message: Span, field: int) -> str:
        """The string in a field of a message; the last one counts, "" where there is none."""
        found = [content for number, wire, _, content in self.fields(message) if number == field and wire == 2]
        return self.text(found[-1]) if found else ""


class Nodes:
    """Nodes as they were read, and where each lies; found by what a node makes, or else by its name."""

    def __init__(self, file: File, nodes: Iterable[Node], spans: Iterable[Field]) -> None:
        self.file = file
        self._nodes = tuple(nodes)
        self._fields = tuple(spans)

    @cached_property
    def _index(self) -> Mapping[str, tuple[Node, Span, Span]]:
        """By output, and by name with a NUL before it, where only one node has it."""
        places: dict[tuple[tuple[str, ...], tuple[str, ...], int], tuple[Span, Span]] = {}
        seen: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
        for _, _, whole, content in self._fields:
            key = self._names(content)
            places[(*key, seen[key])] = (whole, content)
            seen[key] += 1
        seen.clear()
        names = Counter(node.name for node in self._nodes)
        found: dict[str, tuple[Node, Span, Span]] = {}
        for node in self._nodes:
            read = (node.inputs, node.outputs)
            place = places.get((*read, seen[read]))
            seen[read] += 1
            if place is not None:
                found.update(dict.fromkeys(filter(None, node.outputs), (node, *place)))
                if node.name and names[node.name] == 1:
                    found["\0" + node.name] = (node, *place)
        return found

    def _names(self, content: Span) -> tuple[tuple[str, ...], tuple[str, ...]]:
        names: dict[int, list[str]] = {1: [], 2: []}
        feed = FileFeed(self.file.fd, self.file.size)
        for number, wire, _, start, stop in scan(feed, content.start, content.stop):
            if number in names and wire == 2:
                names[number].append(text(take(feed, start, stop - start, self.file.name), 0, stop - start))
        return tuple(names[1]), tuple(names[2])

    def like(self, node: Node) -> tuple[Node, Span, Span] | None:
        """The node as read that this one is, or came from, its field and its content."""
        index = self._index
        made = next((index[name] for name in node.outputs if name in index), None)
        return made or index.get("\0" + node.name)


class Place:
    """A graph as it was read, and the pieces of the file its message lies in."""

    def __init__(self, file: File, graph: Graph, *spans: Span) -> None:
        self.file = file
        self.graph = graph
        self._spans = spans

    @cached_property
    def _fields(self) -> Mapping[int, list[Field]]:
        found: dict[int, list[Field]] = {}
        for field in self.file.fields(*self._spans):
            found.setdefault(field[0], []).append(field)
        return found

    def fields(self, *numbers: int) -> Iterator[Field]:
        for number in numbers:
            yield from self._fields.get(number, ())

    def others(self, *numbers: int) -> Iterator[Field]:
        """The fields of other numbers, known and unknown."""
        for number in self._fields:
            if number not in numbers:
                yield from self._fields[number]

    @cached_property
    def nodes(self) -> Nodes:
        return Nodes(self.file, self.graph.nodes, self.fields(NODE))

    @cached_property
    def tensors(self) -> Mapping[str, Span]:
        """The initializers by name; of several the first, which is the one that is read."""
        found: dict[str, Span] = {}
        for _, _, whole, content in self.fields(INITIALIZER):
            found.setdefault(self.file.name_in(content, 8), whole)
        return found

    @cached_property
    def sparse(self) -> Mapping[str, Span]:
        found = {}
        for _, _, whole, content in self.fields(SPARSE):
            values = [inner for number, _, _, inner in self.file.fields(content) if number == _SPARSE_VALUES]
            found[self.file.name_in(values[-1], 8) if values else ""] = whole
        return found

    @cached_property
    def types(self) -> Mapping[str, Span]:
        """The stated types of inputs and outputs by name, those of inputs first."""
        found: dict[str, Span] = {}
        for _, _, _, content in self.fields(INPUT, OUTPUT):
            found.setdefault(self.file.name_in(content, 1), content)
        return found
