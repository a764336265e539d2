"""The machine that models are run on, as far as its system tells. Nothing is guessed: what cannot be read is None."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import floor
from pathlib import Path
from typing import Final

import msgspec

from effaudit.run.cgroups import cpu_quota, memory_limit, text_of

_CPU: Final = "sys/devices/system/cpu"
# Instructions that kernels of ONNX Runtime (MLAS, https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/core/mlas)
# are chosen by, as /proc/cpuinfo names them on x86 and on Arm.
_ISA: Final = frozenset(
    """sse4_1 avx f16c fma avx2 avx_vnni avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8
    amx_bf16 asimd fphp asimdhp asimddp i8mm bf16 sve sve2 sme""".split()
)
_SYSCTL: Final = {
    "processor": "machdep.cpu.brand_string",
    "cores": "hw.physicalcpu",
    "threads": "hw.logicalcpu",
    "memory": "hw.memsize",
    "clock": "hw.cpufrequency_max",
    "L1d": "hw.perflevel0.l1dcachesize hw.l1dcachesize",
    "L1i": "hw.perflevel0.l1icachesize hw.l1icachesize",
    "L2": "hw.perflevel0.l2cachesize hw.l2cachesize",
    "L3": "hw.perflevel0.l3cachesize hw.l3cachesize",
}
_SECONDS: Final = 5.0  # for sysctl to answer


class HostFacts(msgspec.Struct, frozen=True):
    """`cores` and `threads` are those that this process may use: of its affinity, and no more than a container's quota
    of time (`quota`, in processors; None: not limited) keeps busy. `governor` names all there are, with commas.
    `caches` are bytes of one instance by name (L1d, L1i, L2, L3), the largest where cores differ; `isa` the
    vector and matrix instructions. `memory_bytes` is what the machine has or the container may use."""

    processor: str | None
    architecture: str
    cores: int | None
    threads: int | None
    governor: str | None
    max_clock_hz: int | None
    memory_bytes: int | None
    caches: dict[str, int]
    isa: tuple[str, ...]
    quota: float | None
    system: str
    python: str


def host() -> HostFacts:
    """This machine. Reads files of the kernel (Linux) or asks sysctl (macOS); takes milliseconds."""
    match platform.system():
        case "Linux":
            return linux(Path("/"), platform.machine(), os.sched_getaffinity(0))
        case "Darwin":
            return darwin(_sysctl, platform.machine())
    return _facts(platform.processor() or None, platform.machine(), threads=os.cpu_count())


def linux(root: Path, architecture: str, allowed: Iterable[int]) -> HostFacts:
    """A Linux whose files lie under `root`, for a process that may run on the processors `allowed`."""
    info, chosen = _cpuinfo(text_of(root / "proc/cpuinfo") or ""), sorted(allowed)
    quota = cpu_quota(root)
    clocks = _each(root, chosen, "cpufreq/cpuinfo_max_freq")
    governors = _each(root, chosen, "cpufreq/scaling_governor")
    return _facts(
        _processor(root, info),
        architecture,
        cores=_within(_cores(root, info, chosen), quota),
        threads=_within(len(chosen) or None, quota),
        governor=", ".join(sorted(set(governors))) or None,
        max_clock_hz=max((1000 * int(clock) for clock in clocks if clock.isdecimal()), default=None),
        memory_bytes=_memory(root),
        caches=_caches(root, chosen),
        isa=_isa(info),
        quota=quota,
    )


def darwin(ask: Callable[[Sequence[str]], str], architecture: str) -> HostFacts:
    """A macOS; `ask` gives what `sysctl NAME...` prints, a line "name: value" for each that there is."""
    wanted = [name for names in _SYSCTL.values() for name in names.split()]
    said = dict(line.split(": ", 1) for line in ask(wanted).splitlines() if ": " in line)

    def number(key: str) -> int | None:
        texts = (said.get(name, "").strip() for name in _SYSCTL[key].split())
        return next((int(text) for text in texts if text.isdecimal() and int(text)), None)

    sizes = {name: number(name) for name in ("L1d", "L1i", "L2", "L3")}
    return _facts(
        said.get(_SYSCTL["processor"]),
        architecture,
        cores=number("cores"),
        threads=number("threads"),
        max_clock_hz=number("clock"),
        memory_bytes=number("memory"),
        caches={name: size for name, size in sizes.items() if size is not None},
    )


def _facts(
    processor: str | None,
    architecture: str,
    *,
    cores: int | None = None,
    threads: int | None = None,
    governor: str | None = None,
    max_clock_hz: int | None = None,
    memory_bytes: int | None = None,
    caches: dict[str, int] | None = None,
    isa: tuple[str, ...] = (),
    quota: float | None = None,
) -> HostFacts:
    return HostFacts(
        processor=processor,
        architecture=architecture,
        cores=cores,
        threads=threads,
        governor=governor,
        max_clock_hz=max_clock_hz,
        memory_bytes=memory_bytes,
        caches=caches or {},
        isa=isa,
        quota=quota,
        system=f"{platform.system()} {platform.release()}".strip(),
        python=platform.python_version(),
    )


def _sysctl(names: Sequence[str]) -> str:
    """Names that this machine does not have are left out; sysctl then complains, which says nothing."""
    import subprocess

    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", *names], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _cpuinfo(text: str) -> list[dict[str, str]]:
    """/proc/cpuinfo: a block of "key : value" lines for each processor, on some machines one more for all."""
    blocks = []
    for block in re.split(r"\n\s*\n", text):
        pairs = (line.partition(":") for line in block.splitlines() if ":" in line)
        blocks.append({key.strip(): value.strip() for key, _, value in pairs})
    return blocks


def _processor(root: Path, info: Sequence[Mapping[str, str]]) -> str | None:
    """The name as the kernel has it; of an Arm without one its implementer and part, of a board that of the board."""
    for key in ("model name", "cpu model", "uarch", "cpu"):
        found = next((block[key] for block in info if block.get(key)), None)
        if found:
            return " ".join(found.split())
    arm = next((block for block in info if "CPU implementer" in block and "CPU part" in block), None)
    if arm is not None:
        return f"Arm implementer {arm['CPU implementer']} part {arm['CPU part']}"
    return (text_of(root / "proc/device-tree/model") or "").strip("\0") or None


def _each(root: Path, chosen: Iterable[int], name: str) -> list[str]:
    """What a file says of each processor that has it."""
    texts = (text_of(root / _CPU / f"cpu{number}" / name) for number in chosen)
    return [text for text in texts if text]


def _cores(root: Path, info: Sequence[Mapping[str, str]], chosen: Sequence[int]) -> int | None:
    """Processors that share a core are listed alike."""
    for name in ("topology/core_cpus_list", "topology/thread_siblings_list"):
        found = _each(root, chosen, name)
        if found and len(found) == len(chosen):
            return len(set(found))
    ids = {
        (block["physical id"], block["core id"])
        for block in info
        if {"physical id", "core id"} <= block.keys() and block.get("processor", "") in map(str, chosen)
    }
    return len(ids) or None


def _within(count: int | None, quota: float | None) -> int | None:
    return count if count is None or quota is None else min(count, max(1, floor(quota)))


def _memory(root: Path) -> int | None:
    total = re.search(r"^MemTotal:\s*([0-9]+) kB", text_of(root / "proc/meminfo") or "", re.MULTILINE)
    known = [1024 * int(total[1])] if total is not None else []
    limit = memory_limit(root)
    return min([*known, *([] if limit is None else [limit])], default=None)


def _caches(root: Path, chosen: Iterable[int]) -> dict[str, int]:
    found: dict[str, int] = {}
    kinds = {"Data": "d", "Instruction": "i", "Unified": ""}
    for number in chosen:
        for folder in sorted((root / _CPU / f"cpu{number}" / "cache").glob("index*")):
            level, kind, size = (text_of(folder / name) or "" for name in ("level", "type", "size"))
            held = _size(size)
            if level.isdecimal() and kind in kinds and held:
                name = f"L{level}{kinds[kind]}"
                found[name] = max(held, found.get(name, 0))
    return dict(sorted(found.items()))


def _size(text: str) -> int:
    """ "32K" -> 32,768; 0 where it is no size."""
    match = re.fullmatch(r"([0-9]+)([KMG]?)", text)
    return int(match[1]) * 1024 ** " KMG".index(match[2] or " ") if match else 0


def _isa(info: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    texts = (block.get("flags") or block.get("Features") or "" for block in info)
    return tuple(sorted(_ISA & set(next(filter(None, texts), "").split())))
