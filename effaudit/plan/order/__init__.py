"""The order of the nodes: the one with the least memory, and graphs in another order."""

from effaudit.plan.order.best import Ordered, best_order
from effaudit.plan.order.rewrite import apply_order, expand

__all__ = ["Ordered", "apply_order", "best_order", "expand"]
