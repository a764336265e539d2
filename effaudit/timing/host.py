"""The host of a document: the machine, the runtime, and a short name for all that times depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from effaudit.run.host import HostFacts
from effaudit.timing.types import Host

DIGITS: Final = 12
# What times depend on. Left out: memory, which a model fits in or not; releases of the system's kernel and of Python,
# of which a run spends microseconds; the providers on offer, of which each model says which one ran it.
FIELDS: Final = "processor architecture isa cores threads governor max_clock_hz caches system onnxruntime"


def host_of(facts: HostFacts, version: str, providers: Iterable[str]) -> Host:
    """The machine with the ONNX Runtime that ran: its version, and the providers it has."""
    return Host(
        processor=facts.processor,
        architecture=facts.architecture,
        cores=facts.cores,
        threads=facts.threads,
        governor=facts.governor,
        max_clock_hz=facts.max_clock_hz,
        memory_bytes=facts.memory_bytes,
        caches=facts.caches,
        system=facts.system,
        python=facts.python,
        onnxruntime=version,
        providers=tuple(providers),
        fingerprint=fingerprint(facts, version),
        isa=facts.isa,
    )


def fingerprint(facts: HostFacts, version: str) -> str:
    """12 hexadecimal digits for a machine and a version of ONNX Runtime: the first of the SHA-256 of `FIELDS`, as JSON
    with sorted keys. The system counts by its name alone."""
    known = {**msgspec.structs.asdict(facts), "onnxruntime": version, "system": facts.system.split(" ")[0]}
    text = msgspec.json.encode({name: known[name] for name in FIELDS.split()}, order="sorted")
    return hashlib.sha256(text).hexdigest()[:DIGITS]
