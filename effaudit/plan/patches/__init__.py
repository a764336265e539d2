"""Patch-based execution of a network's first stage: memory, extra MACs, and the search for the best stage and grid."""

from __future__ import annotations

from effaudit.plan.patches.memory import Feed
from effaudit.plan.patches.patched import Parts, Patched, patched
from effaudit.plan.patches.search import Search, best_patches

__all__ = ["Feed", "Parts", "Patched", "Search", "best_patches", "patched"]
