"""The document of `effaudit memory`: what a model needs while it runs, under one runtime, planned and named."""

from effaudit.memory.asked import Asked, Cache, Stage
from effaudit.memory.model import describe, memory, plan_memory
from effaudit.memory.types import MemoryDocument, MemoryFigures, ModelMemory

__all__ = [
    "Asked",
    "Cache",
    "MemoryDocument",
    "MemoryFigures",
    "ModelMemory",
    "Stage",
    "describe",
    "memory",
    "plan_memory",
]
