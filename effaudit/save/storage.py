"""Where the elements of each tensor go: into the model file, into one file beside it, or nowhere.

TensorProto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; files beside the model:
https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from effaudit.errors import UsageError
from effaudit.graph import ENCODINGS, STRING, Constant
from effaudit.save.message import Elements, Message

CODES: Final = {encoding: code for code, encoding in ENCODINGS.items()}
SMALL: Final = 8 * 1024  # bytes that stay in the model whatever its size: shapes, axes and scales among them
_EXTERNAL: Final = 1  # TensorProto.DataLocation
_PAGE: Final = 4096  # large tensors begin at one, so that a runtime can map them
_LINE: Final = 64


class Storage:
    """Collects what goes into the file `data` beside the model ("": everything stays inside), and says where tensors
    without elements point (`weights`; "": they are refused)."""

    def __init__(self, data: str, weights: str) -> None:
        self.data = data
        self.weights = weights
        self.beside: list[tuple[int, Constant]] = []  # (offset, tensor)
        self._ends = {data: 0, weights: 0}

    def keeps(self, constant: Constant) -> bool:
        """Whether the bytes a tensor has in the file that was read can stand in the new one."""
        if constant.place == "sparse" or constant.encoding is STRING:
            return True
        if constant.location != "inline" or constant.missing or constant.read is not None:
            return False
        return not self._outside(constant)

    def tensor(self, constant: Constant) -> Message:
        """The TensorProto. Raises UsageError where its elements cannot be had."""
        constant = _whole(constant)
        if constant.encoding not in CODES:
            why = constant.missing or f"ONNX has no type {constant.encoding.dtype}"
            raise UsageError(f"tensor {constant.name!r} cannot be saved: {why}")
        message = Message()
        for dim in constant.shape:
            message.number(1, dim)
        message.number(2, CODES[constant.encoding])
        if constant.encoding is STRING:
            self._strings(message, constant)
        message.text(8, constant.name)
        if constant.encoding is STRING:
            return message
        if why := lacking(constant):
            self._absent(message, constant, why)
        elif self._outside(constant):
            self.beside.append((self._point(message, constant, self.data), constant))
        else:
            message.content(9, Elements(constant))
        return message

    def _outside(self, constant: Constant) -> bool:
        return bool(self.data) and constant.nbytes > SMALL

    def _absent(self, message: Message, constant: Constant, why: str) -> None:
        if not self.weights:
            rest = "; put the weights beside the model and read it again, or save its structure alone"
            raise UsageError(
                f"tensor {constant.name!r}: there are no elements to save: {why}"
                f"{'' if constant.location == 'inline' else rest}"
            )
        self._point(message, constant, self.weights)

    def _point(self, message: Message, constant: Constant, file: str) -> int:
        """Says that the elements lie in another file. Returns where in it."""
        step = _PAGE if constant.nbytes >= _PAGE else _LINE
        offset = -(-self._ends[file] // step) * step
        self._ends[file] = offset + constant.nbytes
        for key, value in (("location", file), ("offset", str(offset)), ("length", str(constant.nbytes))):
            entry = Message()
            entry.text(1, key)
            entry.text(2, value)
            message.message(13, entry)
        message.number(14, _EXTERNAL)
        return offset

    def _strings(self, message: Message, constant: Constant) -> None:
        texts = constant.strings or ()
        if len(texts) != constant.numel:
            raise UsageError(
                f"tensor {constant.name!r}: {constant.numel:,} strings, of which {len(texts):,} were read; "
                "so many can be saved only as they stand in the file"
            )
        for text in texts:
            message.text(6, text)


def _whole(constant: Constant) -> Constant:
    """With the bytes of every element: a what-if may count those of a format that leaves zeros out, which no file
    holds."""
    size = constant.encoding.nbytes(constant.numel)
    return constant if constant.encoding is STRING or size == constant.nbytes else replace(constant, nbytes=size)


def lacking(constant: Constant) -> str:
    """Why a tensor has no elements; "" where it has."""
    if constant.missing or constant.numel == 0 or constant.read is not None:
        return constant.missing
    held = constant.raw is not None or constant.payload is not None or constant.strings is not None
    return "" if held else "it has no data"
