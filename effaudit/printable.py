"""Names from a model are untrusted: what may reach a terminal."""

from __future__ import annotations

import re
from typing import Final

# C0 and C1 controls, DEL, line separators, bidirectional overrides and isolates, byte-order marks, lone surrogates
# Compiled where it is first needed: most names are printable.
_UNSAFE: Final = "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
MAX_NAME: Final = 200


def printable(text: str, limit: int | None = MAX_NAME) -> str:
    """`text` on one line, every control and direction character spelled out, cut in the middle past `limit`."""
    if limit is not None and len(text) > limit:
        half = limit // 2 - 2
        text = f"{text[:half]}...{text[-half:]}" if half > 0 else text[:limit]
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_UNSAFE, lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)
