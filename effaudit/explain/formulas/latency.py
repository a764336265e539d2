"""Latency, throughput and speed-ups."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import BATCH, count, formula, positive, seconds, share

_LATENCY: Final = seconds("latency", "latency", "80ms")
_SOME: Final = ("latency > 0", "the latency must be above 0")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "compute-latency",
        "macs / (rate * utilization)",
        count("macs", "multiply-accumulates", "200M"),
        positive("rate", "MACs per second", "100M"),
        share("utilization", "share of the rate that is reached", "1", "1"),
        requires=(("utilization > 0", "the utilization must be above 0"),),
        unit="s",
        about="MACs over what a device does per second.",
        mistakes=("A rate in FLOPs or OPs per second counts two per MAC.", "Moving data may take longer."),
    ),
    formula(
        "accelerated-latency",
        "latency / speedup",
        _LATENCY,
        positive("speedup", "speed-up of the whole", "4"),
        unit="s",
        about="The latency after a speed-up of all of it; amdahl-speedup where only a part is faster.",
    ),
    formula(
        "throughput",
        "batch / latency",
        BATCH,
        _LATENCY,
        requires=(_SOME,),
        unit="1/s",
        about="Inferences per second of one stream that runs batch after batch.",
        mistakes=("With several streams or a pipeline, throughput is not 1 / latency.",),
    ),
    formula(
        "iterated-latency",
        "steps * latency",
        count("steps", "steps", "50"),
        seconds("latency", "latency of a step", "20ms"),
        unit="s",
        about="Steps that follow one another: denoising, or tokens of a decoder.",
    ),
    formula(
        "speedup",
        "throughput / baseline",
        positive("throughput", "throughput with n devices", "700"),
        positive("baseline", "throughput with one", "100"),
        unit="x",
        about="How much faster.",
        mistakes=("A speed-up; scaling-efficiency divides it by the number of devices.",),
    ),
    formula(
        "scaling-efficiency",
        "throughput / (baseline * devices)",
        positive("throughput", "throughput with n devices", "700"),
        positive("baseline", "throughput with one", "100"),
        count("devices", "devices", "8"),
        unit="share",
        about="The speed-up over the number of devices.",
    ),
    formula(
        "amdahl-speedup",
        "1 / (1 - part + part / speedup)",
        share("part", "share of the time that becomes faster", "80%"),
        positive("speedup", "speed-up of that part", "4"),
        unit="x",
        about="The rest of the time stays.",
        source="https://doi.org/10.1145/1465482.1465560",
    ),
)
