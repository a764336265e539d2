"""Names: a megabyte long, not UTF-8, or written to take over the terminal that prints them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..case import JSON, NODES, TEXT, Case, legal, odd, written
from ..wire import Text, block, function, graph, integer, model, node, opset, pair, plain, tensor, value

LONG = "/encoder/layer/attention" * 43_691  # a little over 2^20 characters

HOSTILE: dict[str, Text] = {
    "colour": "evil\x1b[31mred\x1b[0m",
    "title": "evil\x1b]0;owned\x07end",
    "clipboard": "evil\x1b]52;c;ZXZpbA==\x07end",
    "clear": "evil\x1b[2J\x1b[Hend",
    "return": "evil\rgood",
    "newlines": "evil\nfake line\r\n\n\n",
    "backspace": "evil\x08\x08\x08\x08good",
    "null": "evil\x00end",
    "delete": "evil\x7fend",
    "c1": "evil\x9b31mred\x9d0;owned\x9c",
    "bidi": "evil\u202egnp.exe\u202c\u2066\u2067\u2068\u2069\u202a\u202b\u202d",
    "separators": "evil\u2028line\u2029paragraph\x85next\x0b\x0c\x1c\x1d\x1e",
    "invisible": "evil\u200b\u200e\u200f\u061c\ufeff\u00adend",
    "markup": "evil[red]</script><b>&amp;\"'`|\\,;%s%n{0}{x.__class__}",
}

NOT_UTF8: dict[str, bytes] = {
    "lone-continuation": b"evil\x80end",
    "cut-sequence": b"evil\xe2\x82",
    "all-ones": b"evil\xff\xfe\xfd",
    "overlong-null": b"evil\xc0\x80end",
    "surrogate": b"evil\xed\xa0\x80end",
    "beyond-unicode": b"evil\xf7\xbf\xbf\xbf",
    "latin-1": "modèle".encode("latin-1"),
    "escape-in-it": b"evil\xff\x1b[31m\x9b31m",
}

# Where a name can stand. Each takes the name and returns a model that has it there.
X = value("x", [2, 2])


def small(nodes: list[bytes], name: Text = "y", **more: Any) -> bytes:
    return model(graph(nodes, [X], [value(name, [2, 2])]), **more)


PLACES: dict[str, Callable[[Text], bytes]] = {
    "node": lambda n: small([node("Relu", ["x"], ["y"], n)]),
    "tensor": lambda n: small([node("Relu", ["x"], [n]), node("Neg", [n], ["y"])]),
    "output": lambda n: small([node("Relu", ["x"], [n])], n),
    "input": lambda n: model(graph([node("Relu", [n], ["y"], "relu")], [value(n, [2, 2])], [value("y", [2, 2])])),
    "initializer": lambda n: model(
        graph([node("MatMul", ["x", n], ["y"], "mm")], [X], [value("y", [2, 2])], [tensor(n, [2, 2], bytes(16))])
    ),
    "op-type": lambda n: small([node(n, ["x"], ["y"], "unknown")]),
    "domain": lambda n: small([node("Op", ["x"], ["y"], "foreign", n)], opsets=opset(17) + opset(1, n)),
    "dim": lambda n: model(graph([node("Relu", ["x"], ["y"], "relu")], [value("x", [n, 2])], [value("y", [n, 2])])),
    "attribute": lambda n: model(
        graph(
            [node("Relu", ["x"], ["y"], "relu", extra=block(5, block(1, n) + integer(3, 1)))],
            [X],
            [value("y", [2, 2])],
        )
    ),
    "attribute-value": lambda n: small([node("Conv", ["x", "x"], ["y"], "conv", auto_pad=n)]),
    "producer": lambda n: small([node("Relu", ["x"], ["y"], "relu")], producer=n),
    "doc": lambda n: small([node("Relu", ["x"], ["y"], "relu", extra=block(6, n))], extra=block(6, n)),
    "graph": lambda n: model(graph([node("Relu", ["x"], ["y"], "relu")], [X], [value("y", [2, 2])], name=n)),
    "metadata": lambda n: small([node("Relu", ["x"], ["y"], "relu")], extra=block(14, pair(n, n))),
    "function": lambda n: small(
        [node(n, ["x"], ["y"], "call", "local")],
        opsets=opset(17) + opset(1, "local"),
        functions=[function(n, ["a"], ["b"], [node("Relu", ["a"], ["b"], "relu")])],
    ),
    "missing-input": lambda n: small([node("Add", ["x", n], ["y"], "add")]),
    "external": lambda n: model(
        graph(
            [node("MatMul", ["x", "w"], ["y"], "mm")],
            [X],
            [value("y", [2, 2])],
            [tensor("w", [2, 2], external={"location": n, "length": "16"})],
        )
    ),
}

MAY_FAIL = (
    "op-type",
    "domain",
    "attribute",
    "attribute-value",
    "missing-input",
    "external",
)  # a tool may refuse these for what they are


def everywhere(text: Text) -> bytes:
    """One model with the text in the places a report prints."""

    def join(start: str) -> Text:
        return start.encode() + text if isinstance(text, bytes) else start + text

    nodes = [
        node("MatMul", [join("x"), join("w")], [join("m")], join("first")),
        node("Relu", [join("m")], [join("r")], join("second")),
        node(join("Op"), [join("r")], [join("y")], join("third"), join("dom")),
    ]
    body = graph(
        nodes,
        [value(join("x"), [join("batch"), 2], doc=join("doc"))],
        [value(join("y"), [2, 2])],
        [tensor(join("w"), [2, 2], bytes(16))],
        name=join("g"),
    )
    return model(body, producer=join("maker"), opsets=opset(17) + opset(1, join("dom")))


def in_places(kind: str, text: Text, places: tuple[str, ...]) -> list[Case]:
    cases = []
    for place in places:
        build = odd if place in MAY_FAIL or isinstance(text, bytes) else legal
        cases.append(build(f"names/{kind}-in-{place}", partial(PLACES[place], text), runs=(NODES,)))
    return cases


def long_names() -> list[Case]:
    cases = []
    for place, make in PLACES.items():
        build = odd if place in MAY_FAIL else legal
        cases.append(build(f"names/megabyte-{place}", partial(make, LONG), runs=(TEXT,)))
    return cases


# --- the file's own name --------------------------------------------------------------------------

FILE_NAMES: dict[str, bytes] = {
    "colour": b"evil\x1b[31m.onnx",
    "newline": b"evil\nfake: line.onnx",
    "bidi": "evil\u202exnno".encode(),
    "not-utf8": b"evil\xff\xfe.onnx",
    "c1": "evil\x9b31m.onnx".encode(),
    "long": b"a" * 250 + b".onnx",
    "markup": b"evil[red]%s{0}'\".onnx",
}


def file_names() -> list[Case]:
    cases = []
    for kind, raw in FILE_NAMES.items():
        name = os.fsdecode(raw)
        runs = (TEXT, JSON)
        cases.append(Case(f"names/file-{kind}", written(plain(), name), "report", runs=runs, named=False, parses=False))
        cases.append(
            Case(
                f"names/file-{kind}-empty",
                written(b"", name),
                "error",
                runs=(TEXT,),
                named=False,
                parses=False,
            )
        )
        absent = partial(missing, name)
        cases.append(Case(f"names/file-{kind}-absent", absent, "error", runs=(TEXT,), named=False, parses=False))
    return cases


def missing(name: str, folder: Path) -> Path:
    return folder / name


OFTEN_PRINTED = (
    "op-type",
    "domain",
    "attribute",
    "attribute-value",
    "metadata",
    "function",
    "missing-input",
    "external",
)

CASES: list[Case] = [
    *[legal(f"names/{kind}", partial(everywhere, text), runs=(NODES, JSON)) for kind, text in HOSTILE.items()],
    *[odd(f"names/{kind}", partial(everywhere, text), runs=(NODES, JSON)) for kind, text in NOT_UTF8.items()],
    *in_places("colour", HOSTILE["colour"], tuple(PLACES)),
    *in_places("not-utf8", NOT_UTF8["escape-in-it"], OFTEN_PRINTED),
    *in_places("newlines", HOSTILE["newlines"], ("op-type", "missing-input", "external", "attribute-value")),
    *long_names(),
    *file_names(),
]
