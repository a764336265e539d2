"""The machine, read from trees of files as Linux has them, from what sysctl prints, and from this very host."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from effaudit.run.cgroups import cpu_quota, memory_limit, throttled
from effaudit.run.host import darwin, host, linux
from effaudit.run.usage import Look, between, look

CPU = "sys/devices/system/cpu"
X86 = """processor\t: {n}
vendor_id\t: GenuineIntel
model name\t: Intel(R)  Core(TM) i7
physical id\t: 0
core id\t\t: {core}
flags\t\t: fpu sse4_1 avx2 fma avx512_vnni hypervisor
"""


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def laptop() -> dict[str, str]:
    """Two cores of two threads each, one of another kind; 16 GB."""
    files = {
        "proc/cpuinfo": "\n".join(X86.format(n=n, core=n // 2) for n in range(4)),
        "proc/meminfo": "MemTotal:       16000000 kB\nMemFree: 5 kB\n",
    }
    for n in range(4):
        pair = f"{n // 2 * 2}-{n // 2 * 2 + 1}\n"
        files |= {
            f"{CPU}/cpu{n}/topology/core_cpus_list": pair,
            f"{CPU}/cpu{n}/cpufreq/scaling_governor": "powersave\n",
            f"{CPU}/cpu{n}/cpufreq/cpuinfo_max_freq": f"{4_000_000 if n < 2 else 3_000_000}\n",
        }
        sizes = {"0": ("1", "Data", "48K"), "1": ("1", "Instruction", "32K"), "2": ("2", "Unified", "2M")}
        for i, (level, kind, size) in sizes.items():
            folder = f"{CPU}/cpu{n}/cache/index{i}"
            held = "1M" if size == "2M" and n > 1 else size
            files |= {f"{folder}/level": level, f"{folder}/type": kind, f"{folder}/size": held}
    return files


def test_a_laptop(tmp_path: Path) -> None:
    found = linux(tree(tmp_path, laptop()), "x86_64", range(4))
    assert (found.processor, found.architecture) == ("Intel(R) Core(TM) i7", "x86_64")
    assert (found.cores, found.threads, found.quota) == (2, 4, None)
    assert (found.governor, found.max_clock_hz, found.memory_bytes) == ("powersave", 4_000_000_000, 16_384_000_000)
    assert found.caches == {"L1d": 48 * 1024, "L1i": 32 * 1024, "L2": 2 * 1024**2}
    assert found.isa == ("avx2", "avx512_vnni", "fma", "sse4_1")


@pytest.mark.parametrize(("allowed", "cores"), [((0,), 1), ((0, 1), 1), ((1, 2), 2), ((2, 3), 1)])
def test_only_what_this_process_may_use_counts(tmp_path: Path, allowed: tuple[int, ...], cores: int) -> None:
    found = linux(tree(tmp_path, laptop()), "x86_64", allowed)
    assert (found.cores, found.threads) == (cores, len(allowed))
    assert found.max_clock_hz == (4_000_000_000 if min(allowed) < 2 else 3_000_000_000)
    assert found.caches["L2"] == (2 if min(allowed) < 2 else 1) * 1024**2


def test_cores_of_a_kernel_without_topology(tmp_path: Path) -> None:
    """As gVisor has it: /proc/cpuinfo alone."""
    found = linux(tree(tmp_path, {"proc/cpuinfo": laptop()["proc/cpuinfo"]}), "x86_64", (0, 1, 2))
    assert (found.cores, found.threads, found.caches, found.memory_bytes) == (2, 3, {}, None)


def test_governors_that_differ_are_all_named(tmp_path: Path) -> None:
    files = laptop() | {f"{CPU}/cpu3/cpufreq/scaling_governor": "performance\n"}
    assert linux(tree(tmp_path, files), "x86_64", range(4)).governor == "performance, powersave"


@pytest.mark.parametrize(
    ("info", "name", "isa"),
    [
        ("processor : 0\nFeatures : fp asimd asimddp bf16\nCPU implementer : 0x41\nCPU part : 0xd0c\n", None, 3),
        ("processor : 0\nFeatures : fp\n\nModel : Board\n", "", 0),
        ("processor : 0\nuarch : sifive,u74-mc\n", "sifive,u74-mc", 0),
        ("", "", 0),
    ],
)
def test_other_processors(tmp_path: Path, info: str, name: str | None, isa: int) -> None:
    found = linux(tree(tmp_path, {"proc/cpuinfo": info}), "other", (0,))
    wanted = "Arm implementer 0x41 part 0xd0c" if name is None else name or None
    assert (found.processor, len(found.isa), found.cores) == (wanted, isa, None)


def test_a_board_is_named_by_its_device_tree(tmp_path: Path) -> None:
    files = {"proc/cpuinfo": "processor : 0\n", "proc/device-tree/model": "Raspberry Pi 5\0"}
    assert linux(tree(tmp_path, files), "aarch64", (0,)).processor == "Raspberry Pi 5"


def test_nothing_is_known_of_an_empty_tree(tmp_path: Path) -> None:
    found = linux(tmp_path, "x86_64", ())
    unknown = (found.processor, found.cores, found.threads, found.governor, found.max_clock_hz, found.memory_bytes)
    assert unknown == (None,) * 6 and not found.caches and not found.isa


GROUP = "sys/fs/cgroup"
SECOND = {
    "proc/self/cgroup": "0::/system/job\n",
    f"{GROUP}/system/cpu.max": "150000 100000\n",
    f"{GROUP}/system/job/cpu.max": "max 100000\n",
    f"{GROUP}/system/job/memory.max": "max\n",
    f"{GROUP}/system/memory.max": "2147483648\n",
    f"{GROUP}/system/job/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 4\n",
}
FIRST = {
    "proc/self/cgroup": "5:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/x\n",
    f"{GROUP}/cpu,cpuacct/job/cpu.cfs_quota_us": "150000\n",
    f"{GROUP}/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
    f"{GROUP}/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
    f"{GROUP}/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    f"{GROUP}/cpu,cpuacct/job/cpu.stat": "nr_throttled 4\n",
    f"{GROUP}/memory/job/memory.limit_in_bytes": "2147483648\n",
    f"{GROUP}/memory/memory.limit_in_bytes": "9223372036854771712\n",
}
# Inside of a container: the path is that of the host, which is not seen.
INSIDE = {
    "proc/self/cgroup": "0::/../docker/12ab\n",
    f"{GROUP}/cpu.max": "150000 100000",
    f"{GROUP}/memory.max": "2147483648",
    f"{GROUP}/cpu.stat": "nr_throttled 4",
}


@pytest.mark.parametrize("files", [SECOND, FIRST, INSIDE], ids=["version 2", "version 1", "inside"])
def test_a_container_has_what_its_groups_leave_it(tmp_path: Path, files: dict[str, str]) -> None:
    root = tree(tmp_path, laptop() | files)
    assert (cpu_quota(root), memory_limit(root), throttled(root)) == (1.5, 2 * 1024**3, 4)
    found = linux(root, "x86_64", range(4))
    assert (found.cores, found.threads, found.quota, found.memory_bytes) == (1, 1, 1.5, 2 * 1024**3)


@pytest.mark.parametrize("text", ["", "max 100000", "0 100000", "5", "-1 100000", "100000 0", "x y"])
def test_a_group_without_a_quota_limits_nothing(tmp_path: Path, text: str) -> None:
    root = tree(tmp_path, {"proc/self/cgroup": "0::/\n", f"{GROUP}/cpu.max": text, f"{GROUP}/memory.max": text})
    assert cpu_quota(root) is None and throttled(root) is None
    assert memory_limit(root) == (5 if text == "5" else None)


def test_macos_says_it_itself() -> None:
    said = {
        "machdep.cpu.brand_string": "Apple M2",
        "hw.physicalcpu": "8",
        "hw.logicalcpu": "8",
        "hw.memsize": "17179869184",
        "hw.perflevel0.l1dcachesize": "131072",
        "hw.l1dcachesize": "65536",
        "hw.l2cachesize": "4194304",
    }

    def sysctl(names: Sequence[str]) -> str:
        return "\n".join(f"{name}: {said[name]}" for name in names if name in said)

    found = darwin(sysctl, "arm64")
    assert (found.processor, found.cores, found.threads) == ("Apple M2", 8, 8)
    assert found.caches == {"L1d": 131072, "L2": 4194304}
    assert (found.memory_bytes, found.max_clock_hz, found.governor) == (2**34, None, None)
    nothing = darwin(lambda names: "", "arm64")
    assert (nothing.processor, nothing.cores, nothing.memory_bytes, nothing.caches) == (None, None, None, {})


@pytest.mark.skipif(platform.system() != "Linux", reason="what is compared with is Linux's")
def test_this_host() -> None:
    found = host()
    assert found.architecture == platform.machine() and found.python == platform.python_version()
    assert found.threads is not None and 1 <= found.threads <= len(os.sched_getaffinity(0))
    assert found.cores is None or 1 <= found.cores <= found.threads
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert found.memory_bytes is not None and 0 < found.memory_bytes <= pages


STAT = "cpu  {busy} 0 100 50000 10 0 0 {stolen} 7 0\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n"


def test_a_look_at_what_runs(tmp_path: Path) -> None:
    """200 more hundredths busy in two seconds on two processors: one of them; 40 stolen: a tenth of both."""
    supply = "sys/class/power_supply"
    files = {
        f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "3",
        f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4",
        f"{supply}/BAT0/type": "Battery",
        f"{supply}/BAT0/status": "Discharging",
    }
    rate = os.sysconf("SC_CLK_TCK")
    before = look(tree(tmp_path, files | {"proc/stat": STAT.format(busy=500, stolen=0)}), lambda: 10.0)
    changed = {"proc/stat": STAT.format(busy=500 + 2 * rate, stolen=rate * 4 // 10)}
    hotter = {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "6"}
    after = look(tree(tmp_path, changed | hotter), lambda: 12.0)
    assert before.busy_s == 600 / rate and before.hot == 7 and before.on_battery is True
    found = between(before, after)
    assert found.others == pytest.approx(1.0, abs=0.2), "less what this process used"
    assert found.stolen == pytest.approx(0.1) and (found.hot, found.processors, found.throttled) == (2, 2, None)


def test_what_this_process_uses_is_not_others() -> None:
    before = Look(0.0, 4, 100.0, 0.0, 20.0, None, 1, 0.5, None)
    found = between(before, Look(10.0, 4, 118.0, 0.0, 33.0, None, 1, 0.9, None))
    assert (found.others, found.stolen, found.throttled, found.load) == (pytest.approx(0.5), 0.0, 0, 0.5)
    assert between(before, Look(10.0, 4, 101.0, 0.0, 33.0, None, 1, 0.9, None)).others == 0.0, "counted in hundredths"
    short = between(before, Look(0.1, 4, 118.0, 0.0, 33.0, None, 1, 0.9, None))
    assert (short.others, short.stolen) == (None, None)


def test_a_look_at_nothing(tmp_path: Path) -> None:
    """Counters that stand still count nothing (a sandbox), and a mouse with a battery is no laptop."""
    files = {
        "proc/stat": "cpu  0 0 0 0 0 0 0 0 0 0\n",
        "sys/class/power_supply/mouse/type": "Battery",
        "sys/class/power_supply/mouse/scope": "Device",
        "sys/class/power_supply/mouse/status": "Discharging",
    }
    found = look(tree(tmp_path, files))
    assert (found.busy_s, found.stolen_s, found.hot, found.throttled, found.on_battery) == (None,) * 5
    assert found.processors == os.cpu_count()
