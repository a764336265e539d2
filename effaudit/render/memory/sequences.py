"""Key/value caches and attention scores in a few lines."""

from __future__ import annotations

from effaudit.memory.types import ModelMemory


def sequences(model: ModelMemory) -> list[str]:
    """Nothing of a model without attention."""
    return []
