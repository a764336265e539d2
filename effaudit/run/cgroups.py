"""What a container may use, as Linux states it of control groups (versions 1 and 2).

https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/scheduler/sched-bwc.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOUNT: Final = "sys/fs/cgroup"
_UNLIMITED: Final = 2**60  # version 1 writes "no limit" as a number of bytes that nothing has


def cpu_quota(root: Path = Path("/")) -> float | None:
    """How many processors' time this process may use; None where it is not limited. The least of all its groups."""
    found = []
    for folder in _groups(root, "cpu"):
        match (text_of(folder / "cpu.max") or "").split():
            case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
                found.append(int(quota) / int(period))
        one, each = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if one is not None and each:
            found.append(one / each)
    return min((quota for quota in found if quota > 0), default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes that this process may use; None where they are not limited. The least of all its groups."""
    found = [
        limit
        for folder in _groups(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (limit := _number(folder / name)) is not None
    ]
    return min((limit for limit in found if 0 < limit < _UNLIMITED), default=None)


def memory_left(root: Path = Path("/")) -> int | None:
    """Bytes that this process' groups may still use; None where they are not limited. What the kernel holds of files,
    and would give back, counts as free."""
    found = []
    for folder in _groups(root, "memory"):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and used is not None and 0 < limit < _UNLIMITED:
                found.append(max(limit - max(used - _inactive(folder), 0), 0))
    return min(found, default=None)


def _inactive(folder: Path) -> int:
    """Bytes of files that nobody uses just now, in a group and those below it, which version 1 tells apart."""
    lines = (line.split() for line in (text_of(folder / "memory.stat") or "").splitlines())
    found = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdecimal()}
    return found.get("total_inactive_file", found.get("inactive_file", 0))


def throttled(root: Path = Path("/")) -> int | None:
    """How often this process' groups were stopped because their quota was used up; None where nobody counts it."""
    found = None
    for folder in _groups(root, "cpu"):
        for line in (text_of(folder / "cpu.stat") or "").splitlines():
            match line.split():
                case ["nr_throttled", count] if count.isdecimal():
                    found = max(found or 0, int(count))
    return found


def text_of(path: Path) -> str | None:
    """What a file of the kernel says, None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process' groups of a controller, the innermost first, up to the mount itself. Seen from
    within a container, folders of the host may be missing: the mount is then its own group."""
    mount = root / _MOUNT
    for line in (text_of(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        places = [mount / names, mount / controller] if names else [mount, mount / "unified"]
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for place in dict.fromkeys(places):
            for length in range(len(parts), -1, -1):
                yield place.joinpath(*parts[:length])


def _number(path: Path) -> int | None:
    text = text_of(path) or ""
    return int(text) if text.isdecimal() else None
