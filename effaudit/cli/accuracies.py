"""`effaudit report --accuracy`: what the user says of each model, and what is wanted of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from math import isfinite

from effaudit.cli.options import assignments, items
from effaudit.errors import UsageError
from effaudit.printable import printable
from effaudit.units import parse_count, parse_measure
from effaudit.views.pareto import COSTS, Comparing, Target

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,20})?)\s*(%?)")


def comparing(
    accuracy: Sequence[str], pareto: Sequence[str], target: str | None, names: Sequence[str], *, on_device: bool
) -> Comparing:
    """What to compare. Raises UsageError, where no accuracy is given too."""
    found: dict[str, float] = {}
    given = [item for option in accuracy for item in assignments(option) if item.strip()]
    for item in given:
        name, sign, text = item.rpartition("=")
        if not sign or not name.strip():
            raise UsageError(f"--accuracy {printable(item, 60)!r}: expected MODEL=PERCENT, such as a.onnx=76.1")
        model, share = _model(name.strip(), names), _share(text.strip(), item)
        if found.setdefault(model, share) != share:
            raise UsageError(f"--accuracy: {model} is given twice, as {100 * found[model]:.6g} and {100 * share:.6g} %")
    if not found:
        option = "--accuracy" if accuracy else "--pareto" if pareto else "--target"
        raise UsageError(f"{option}: no accuracy is given; write them like --accuracy {names[0]}=76.1")
    return Comparing(found, _costs(pareto, on_device), _target(target, on_device))


def _model(key: str, names: Sequence[str]) -> str:
    """The model that a key means: as given, else by its base name, `.onnx` and `sample:` left out or not."""
    if key in names:
        return key
    same = [name for name in dict.fromkeys(names) if key in _short(name)]
    if len(same) == 1:
        return same[0]
    if same:
        raise UsageError(f"--accuracy {printable(key, 60)!r} means {' and '.join(same)}; give the whole name")
    raise UsageError(f"--accuracy {printable(key, 60)!r} is no model of this report; there are {', '.join(names[:12])}")


def _short(name: str) -> tuple[str, ...]:
    base = re.split(r"[/\\]", name)[-1]
    return base, base.removesuffix(".onnx"), base.removeprefix("sample:")


def _share(text: str, item: str) -> float:
    """Percent as 0 to 1. One without a sign is more than 1, so that no share is taken for percent."""
    match = _PERCENT.fullmatch(text)
    what = f"--accuracy {printable(item, 60)!r}"
    if match is None:
        raise UsageError(f"{what}: expected percent, such as 76.1")
    percent = Decimal(match[1])
    if percent > 100 or percent <= 0:
        raise UsageError(f"{what}: an accuracy is more than 0 and at most 100 %")
    if percent <= 1 and not match[2]:
        raise UsageError(
            f"{what}: expected percent: write {float(100 * percent):g}, or {match[1]}% where it is so little"
        )
    return float(percent / 100)


def _costs(pareto: Sequence[str], on_device: bool) -> tuple[str, ...]:
    costs = tuple(dict.fromkeys(items(pareto))) or ("latency" if on_device else "macs",)
    for cost in costs:
        if cost not in COSTS:
            raise UsageError(f"--pareto {printable(cost, 40)!r}: expected one of {', '.join(COSTS)}")
        if cost == "latency" and not on_device:
            raise UsageError("--pareto latency: it takes a device; name it with --device")
    return costs


def _target(text: str | None, on_device: bool) -> Target | None:
    if text is None:
        return None
    what = "--target"
    plain = text.strip()
    if plain.endswith("s"):
        if not on_device:
            raise UsageError(f"--target {printable(plain, 40)}: a latency takes a device; name it with --device")
        found = Target("latency", parse_measure(plain, "s", what))
    else:
        found = Target("macs", _macs(plain))
    if not isfinite(found.value) or found.value <= 0:
        raise UsageError(f"--target {printable(plain, 40)}: expected a number above 0")
    return found


def _macs(text: str) -> int:
    try:
        return parse_count(text, "--target")
    except UsageError:
        raise UsageError(
            f"--target {printable(text, 40)!r}: expected a latency, such as 80ms, or MACs, such as 300M"
        ) from None
