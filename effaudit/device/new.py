"""The text of a new profile: empty, or one that completes another. Valid as it stands."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Final

from effaudit import strict_yaml
from effaudit.device.find import is_path, load
from effaudit.device.heads import key
from effaudit.device.types import SCHEMA, Device
from effaudit.device.validate import NAME
from effaudit.errors import UsageError
from effaudit.printable import printable

_TEMPLATE: Final = """\
# A device, as docs/devices.md describes it. `effaudit devices validate FILE` checks it.
# A number is written plainly (size_bytes: 524288), with what is its own where that differs from `source` and `status`
# below ({{value: 2, source: manual, status: derived, note: "..."}}), or as {{value: null, note: "why"}} where nobody
# says it: what needs it is then not checkable. The unit is in the key.
schema: {schema}
name: {name}
title: {title}
class: mcu                   # mcu, npu, phone, sbc, gpu, cpu or tpu
# vendor: acme
# part: ACME1234             # the order code
# aliases: [acme1234]

sources:                     # where the numbers stand
  datasheet:
    title: "Fill in: the document, its number and revision"
    # url: https://...
    # accessed: 2026-01-31
source: datasheet            # of every number that names no other
status: vendor               # vendor, measured, derived, fitted or assumed

engines:                     # what computes
  - name: core
    kind: simd               # scalar, simd, vector, matrix, npu or gpu
    cores: 1
    clock_hz: {{value: null, note: "fill in, such as 216e6"}}
    peaks:                   # by element type: int8, float16, float32, ...
      int8:
        # of one core; or dense_op_per_s (float types: dense_flop_per_s) of all: 2 operations per MAC, never sparse
        dense_mac_per_cycle: {{value: null, note: "fill in"}}

memories:                    # weights fill the first that holds them, then the next
  - name: flash
    kind: flash              # ram, scratchpad, flash, dram; cache and link only change how fast bytes come
    size_bytes: {{value: null, note: "fill in"}}
    read_bandwidth_byte_per_s: {{value: null, note: "fill in"}}
    holds: [weights, code]
  - name: sram
    kind: ram
    size_bytes: {{value: null, note: "fill in"}}
    # regions:               # where it lies in several ranges of addresses
    #   - {{name: dtcm, base: 0x20000000, size_bytes: 65536}}
    read_bandwidth_byte_per_s: {{value: null, note: "fill in"}}
    holds: [activations, stack]

reserved:                    # what the model cannot have
  - {{memory: sram, size_bytes: {{value: null, note: "fill in: stack, operating system"}}, what: firmware}}

runtimes:                    # the first is the default
  - name: tflm
    rules: tflm              # effaudit memory --runtime list
    engine: core
    code_bytes: {{value: null, note: "fill in: the runtime and its kernels"}}
    state_bytes: {{value: null, note: "fill in: RAM beside the arena"}}

# performance:               # how fast kernels really run; without it, latency is bounded by the peaks alone
#   - engine: core
#     dtype: int8
#     runtime: tflm
#     rates:
#       conv: {{mac_per_cycle: {{value: 0.5, status: measured, source: datasheet}}}}
"""
_EXTENDING: Final = """\
# Completes {base}: what is stated here takes the place of what stands there; engines, memories, regions and runtimes
# are told apart by their names. `effaudit devices show {base}` prints what it has.
schema: {schema}
name: {name}
title: {title}
extends: {extends}
class: {kind}

sources:                     # where the numbers below stand; the names must not be those of {base}
  {source}:
    title: "Fill in: the document, its number and revision"
source: {source}
status: vendor
"""


def template(name: str) -> str:
    """A profile with every number not known yet. Raises UsageError where the name cannot be one."""
    _check(name)
    return _TEMPLATE.format(schema=SCHEMA, name=_word(name), title=_word(f"{name}: what it is"))


def extending(name: str, base: str, folders: Sequence[str] = (), beside: str = ".") -> str:
    """A profile that completes another, with what one would change as comments; it shall lie in the folder `beside`.
    Raises UsageError as `effaudit.device.find.find`."""
    _check(name)
    device = load(base, folders).device
    if key(name) == key(device.name):
        raise UsageError(f"{printable(name)}: is the name of what it completes; choose another")
    source = next(
        s for s in (name, *(f"{name}-{i}" for i in range(len(device.sources) + 1))) if s not in device.sources
    )
    head = _EXTENDING.format(
        schema=SCHEMA,
        name=_word(name),
        title=_word(f"{name}: as {device.title}"),
        base=device.name,
        extends=json.dumps(os.path.relpath(base, beside)) if is_path(base) else device.name,
        kind=device.kind,
        source=_word(source),
    )
    return "\n".join([head, *_hints(device)]) + ("\n" if _hints(device) else "")


def _hints(device: Device) -> list[str]:
    return [*_list("engines", _engines(device)), *_list("memories", _memories(device))]


def _list(title: str, lines: Iterator[str]) -> list[str]:
    found = list(lines)
    return [f"# {title}:", *found] if found else []


def _engines(device: Device) -> Iterator[str]:
    for engine in device.engines:
        yield f"#   - name: {_word(engine.name)}"
        if engine.clock_hz is not None and engine.clock_hz.value is not None:
            yield f"#     clock_hz: {engine.clock_hz.value}"


def _memories(device: Device) -> Iterator[str]:
    for memory in device.memories:
        yield f"#   - name: {_word(memory.name)}"
        if memory.size_bytes is not None and memory.size_bytes.value is not None:
            yield f"#     size_bytes: {memory.size_bytes.value}"


def _check(name: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{printable(repr(name), 60)}: expected lower-case letters, digits, - and . (such as st-nucleo-h743zi)"
        )


def _word(text: str) -> str:
    """Text as YAML: plain where that cannot be taken for anything else."""
    if re.fullmatch(r"[a-z][a-z0-9.+-]*", text) and strict_yaml.parse(text, "") == text:
        return text
    return json.dumps(text)
