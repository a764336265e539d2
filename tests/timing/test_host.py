"""The host of a document: the same name for the same machine, another for whatever changes its times."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from effaudit.run.host import HostFacts
from effaudit.timing.host import FIELDS, fingerprint, host_of

FACTS = HostFacts(
    processor="A",
    architecture="x86_64",
    cores=2,
    threads=4,
    governor=None,
    max_clock_hz=None,
    memory_bytes=2**34,
    caches={"L1d": 32768, "L2": 2**20},
    isa=("avx2",),
    quota=None,
    system="Linux 6.1",
    python="3.11.7",
)
CPU = ("CPUExecutionProvider",)


def test_the_host_has_what_was_read() -> None:
    found = host_of(FACTS, "1.31.0", CPU)
    for name in (
        "processor",
        "architecture",
        "cores",
        "threads",
        "governor",
        "memory_bytes",
        "caches",
        "isa",
        "python",
    ):
        assert getattr(found, name) == getattr(FACTS, name)
    assert (found.onnxruntime, found.providers, found.fingerprint) == ("1.31.0", CPU, fingerprint(FACTS, "1.31.0"))


def test_the_name_is_stable() -> None:
    """It stands in files that are compared: a change of how it is made is one of the schema."""
    assert fingerprint(FACTS, "1.31.0") == "b01d82f65e3a"
    turned = replace(FACTS, caches=dict(reversed(FACTS.caches.items())))
    assert fingerprint(turned, "1.31.0") == fingerprint(FACTS, "1.31.0")


@pytest.mark.parametrize(
    "change",
    [
        {"processor": "B"},
        {"architecture": "aarch64"},
        {"isa": ()},
        {"cores": None},
        {"threads": 2},
        {"governor": "powersave"},
        {"max_clock_hz": 1},
        {"caches": {}},
        {"system": "Darwin 23"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_times_changes_the_name(change: dict[str, object]) -> None:
    assert fingerprint(replace(FACTS, **change), "1.31.0") != fingerprint(FACTS, "1.31.0")


def test_the_runtime_changes_the_name() -> None:
    assert fingerprint(FACTS, "1.30.0") != fingerprint(FACTS, "1.31.0")


def test_what_times_do_not_depend_on_leaves_it() -> None:
    same = replace(FACTS, memory_bytes=1, system="Linux 6.9", python="3.13.0", quota=8.5)
    assert fingerprint(same, "1.31.0") == fingerprint(FACTS, "1.31.0")
    assert host_of(FACTS, "1.31.0", ()).fingerprint == host_of(FACTS, "1.31.0", CPU).fingerprint
    left = {"memory_bytes", "python", "quota"}
    assert set(FIELDS.split()) | left == {*FACTS.__struct_fields__, "onnxruntime"}
