"""Which axes of a graph can only change together: coupled channel groups, found by unification over its operators."""

from effaudit.axes.couple import Coupling, couple
from effaudit.axes.groups import Group, Member, groups

__all__ = ["Coupling", "Group", "Member", "couple", "groups"]
