"""External data: weights that are said to lie where they must not be looked for, or that are not there."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..case import JSON, TEXT, Case
from ..wire import INT64, Text, graph, model, node, tensor, value

SECRET = struct.pack("<qq", 3, 2)  # what lies outside the model's folder: read as a shape it would show in the report


def reading(entries: Mapping[str, Text]) -> bytes:
    """A Reshape of six elements to the shape that lies in external data."""
    shape = tensor("s", [2], dtype=INT64, external=entries)
    return model(graph([node("Reshape", ["x", "s"], ["y"], "reshape")], [value("x", [6])], [value("y")], [shape]))


def weighing(entries: Mapping[str, Text]) -> bytes:
    w = tensor("w", [4, 4], external=entries)
    return model(graph([node("MatMul", ["x", "w"], ["y"], "mm")], [value("x", [1, 4])], [value("y")], [w]))


Build = Callable[[Mapping[str, Text]], bytes]
Prepare = Callable[[Path], Mapping[str, Text]]


def placed(build: Build, prepare: Prepare) -> Callable[[Path], Path]:
    """The model in a folder of its own, with the secret beside that folder."""

    def make(folder: Path) -> Path:
        (folder / "outside.bin").write_bytes(SECRET)
        (folder / "model").mkdir()
        path = folder / "model" / "model.onnx"
        path.write_bytes(build(prepare(folder / "model")))
        return path

    return make


def said(**entries: Text) -> Prepare:
    return lambda folder: entries


def linked(target: str) -> Prepare:
    def prepare(folder: Path) -> Mapping[str, Text]:
        (folder / "data.bin").symlink_to(target)
        return {"location": "data.bin"}

    return prepare


def linked_folder(folder: Path) -> Mapping[str, Text]:
    (folder / "sub").symlink_to("..")
    return {"location": "sub/outside.bin"}


def absolute(folder: Path) -> Mapping[str, Text]:
    return {"location": str(folder.parent / "outside.bin")}


def fifo(folder: Path) -> Mapping[str, Text]:
    os.mkfifo(folder / "data.bin")
    return {"location": "data.bin"}


def directory(folder: Path) -> Mapping[str, Text]:
    (folder / "data.bin").mkdir()
    return {"location": "data.bin"}


def beside(**entries: Text) -> Prepare:
    """An honest file beside the model, named with these further entries."""

    def prepare(folder: Path) -> Mapping[str, Text]:
        (folder / "data.bin").write_bytes(SECRET + bytes(48))
        return {"location": "data.bin", **entries}

    return prepare


def kept_out(entry: dict[str, Any]) -> None:
    """Nothing from outside the model's folder may be read: the shape stays unknown."""
    for output in entry["outputs"]:
        assert output["shape"] != [3, 2], "the shape was read from a file outside the model's folder"


OUTSIDE: dict[str, Prepare] = {
    "dotdot": said(location="../outside.bin"),
    "dotdot-deep": said(location="sub/../../outside.bin"),
    "dotdot-passwd": said(location="../../../../../../../../etc/passwd"),
    "dotdot-backslash": said(location="..\\outside.bin"),
    "absolute": absolute,
    "absolute-passwd": said(location="/etc/passwd"),
    "link": linked("../outside.bin"),
    "link-passwd": linked("/etc/passwd"),
    "link-folder": linked_folder,
    "uri": said(location="file:///etc/passwd"),
    "home": said(location="~/outside.bin"),
}

STRANGE: dict[str, Prepare] = {
    "dev-zero": said(location="/dev/zero"),
    "dev-zero-link": linked("/dev/zero"),
    "link-to-itself": linked("data.bin"),
    "link-to-nothing": linked("absent.bin"),
    "fifo": fifo,
    "directory": directory,
    "itself": said(location="model.onnx", offset="0", length="16"),
    "missing": said(location="absent.bin"),
    "location-empty": said(location=""),
    "location-dot": said(location="."),
    "location-null": said(location="data.bin\x00.onnx"),
    "location-escapes": said(location="\x1b[31mevil\x07\r\n.bin"),
    "location-not-utf8": said(location=b"\xff\xfe.bin"),
    "location-5000-long": said(location="a" * 5_000),
    "location-absent": said(offset="0", length="16"),
    "no-entries": said(),
    "past-the-end": beside(offset="1000000", length="16"),
    "length-past-the-end": beside(offset="60", length="1000"),
    "offset-negative": beside(offset="-16", length="16"),
    "offset-2^63": beside(offset=str(1 << 63), length="16"),
    "offset-10^4000": beside(offset="1" + "0" * 4_000),
    "offset-10^5000": beside(offset="1" + "0" * 5_000),  # Python itself refuses to convert more than 4,300 digits
    "offset-words": beside(offset="twelve"),
    "offset-hex": beside(offset="0x10"),
    "offset-float": beside(offset="1e3"),
    "offset-empty": beside(offset=""),
    "offset-not-utf8": beside(offset=b"\xff"),
    "offset-other-digits": beside(offset="\u0661\u0662"),  # int() takes these for 12
    "length-negative": beside(length="-1"),
    "length-2^63": beside(length=str(1 << 63)),
    "length-words": beside(length="all of it"),
    "length-disagrees": beside(offset="0", length="8"),
    "checksum-junk": beside(checksum="\x1b[31m"),
    "unknown-key": beside(evil="\x1b[31m"),
}


BY_WEIGHTS = (
    "dev-zero-link",
    "fifo",
    "missing",
    "past-the-end",
    "offset-2^63",
    "offset-words",
    "location-empty",
)


def cases() -> list[Case]:
    found = [
        Case("external/beside", placed(weighing, beside(offset="0", length="64")), "report", runs=(TEXT, JSON)),
        Case("external/beside-shape", placed(reading, beside(offset="0", length="16")), "report"),
    ]
    for name, prepare in OUTSIDE.items():
        found.append(Case(f"external/{name}", placed(reading, prepare), "either", verify=kept_out, runs=(JSON, TEXT)))
    for name, prepare in STRANGE.items():
        verify = kept_out if name in ("dev-zero", "missing", "directory", "fifo") else None
        found.append(Case(f"external/{name}-shape", placed(reading, prepare), "either", verify=verify))
        if name in BY_WEIGHTS:
            found.append(Case(f"external/{name}-weights", placed(weighing, prepare), "either"))
    return found


CASES: list[Case] = cases()
