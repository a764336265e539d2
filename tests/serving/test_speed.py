"""Prompts and tokens: ceilings against figures worked out by hand, estimates with their bounds, sweeps."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit.device.find import find
from effaudit.device.peaks import largest_flop_per_s
from effaudit.estimate.types import Seconds
from effaudit.quantity import Quantity
from effaudit.render.fit.serving import lines
from effaudit.serving.rates import bounded, rate
from effaudit.serving.sized import Sized
from effaudit.serving.types import Serving
from effaudit.wrapping import WIDTH
from tests.views import caches

from .devices import FIGURES, device
from .served import GQA, LLAMA_7B, SAMPLES, Config, asked, saved, sized

# How fast kernels run on it, for the tests alone.
PERFORMANCE = """
performance:
  - engine: cuda
    dtype: {dtype}
    runtime: ideal
    rates:
      fully_connected: {{fraction_of_peak: 0.5}}
      matmul: {{fraction_of_peak: 0.5}}
      elementwise: {{op_per_s: 1000000000000}}
    bandwidth_fraction: 0.8
    per_kernel_s: 0.000001
    prediction_error:
      median_ratio: 0.1
      interval_factor: 1.5
      coverage_ratio: 0.8
      rows_count: 10
      dataset: tests
      date: "2024-01-01"
"""


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Serving:
    """Llama-2-7B in fp16 at 1,500 tokens on 900 GB/s."""
    return asked("sample:decoder-7b", device(tmp_path_factory.mktemp("v100"), "v100"), context=1500, prompt=500)


@pytest.fixture(scope="module")
def gqa(tmp_path_factory: pytest.TempPathFactory) -> Sized:
    return sized("sample:decoder-gqa", device(tmp_path_factory.mktemp("a100")))


# ---- ceilings
@pytest.mark.parametrize(("name", "config"), SAMPLES.items())
@pytest.mark.parametrize(("batch", "new", "past"), [(1, 1, 1499), (3, 1, 63), (2, 16, 0)])
def test_the_ceiling_by_hand(name: str, config: Config, batch: int, new: int, past: int, tmp_path: Path) -> None:
    """The larger of (weights + cache) / bandwidth and 2 x MACs / peak; of the table one row, as all tokens may be the
    same."""
    model = sized(name, device(tmp_path))
    found = model.ceiling(model.run(batch, new, past))
    table, row = config.vocab * config.d, config.d
    weights, cache = (config.params - table + row) * config.bytes, batch * (past + new) * config.token
    macs = config.macs(batch, new, past + new)
    assert 0 <= found.weight_bytes - weights <= 400  # frequencies and limits, in constants of their own
    assert (found.cache_bytes, found.flops) == (cache, 2 * macs)
    peak = FIGURES["a100"]["float16" if config.bytes == 2 else "float32"]
    compute, memory = 2 * macs / peak, (found.weight_bytes + cache) / FIGURES["a100"]["bandwidth"]
    assert found.compute_s == pytest.approx(compute) and found.memory_s == pytest.approx(memory)
    assert found.seconds == pytest.approx(max(compute, memory))
    assert found.bound == ("compute" if compute > memory else "bandwidth")


def test_7b_in_fp16_on_900_gb_per_s_gives_about_64_tokens(llama: Serving) -> None:
    """7e9 x 2 bytes / 900 GB/s: 64.3 steps a second. Here the weights that a step reads are counted (all but the table
    of tokens, 13.21 GB) and the cache of 1,500 tokens (0.79 GB)."""
    decode = llama.decode
    assert decode is not None and decode.ceiling_tokens_per_s is not None
    assert decode.ceiling_tokens_per_s == pytest.approx(900e9 / (7e9 * 2), rel=0.002)
    assert round(decode.ceiling_tokens_per_s) == 64 and decode.bound == "bandwidth"
    read = (LLAMA_7B.params - 32000 * 4096 + 4096) * 2 + 1500 * 524_288
    assert decode.ceiling.weight_bytes + decode.ceiling.cache_bytes == pytest.approx(read, abs=400)


def test_a_prompt_is_compute_bound_and_a_step_is_not(llama: Serving, tmp_path: Path) -> None:
    """On an A100 too, whose ridge is 153 FLOP/B: a step of one token has about one FLOP per byte, one of 32 sequences
    32, a prompt of 500 tokens 500."""
    assert llama.prefill is not None and llama.prefill.bound == "compute" and llama.prompt == 500
    model = sized("sample:decoder-7b", device(tmp_path))
    for (batch, new, past), bound, intensity in (
        ((1, 1, 1), "bandwidth", 1),
        ((32, 1, 1), "bandwidth", 32),
        ((1, 500, 0), "compute", 500),
    ):
        found = model.ceiling(model.run(batch, new, past))
        assert found.bound == bound
        assert found.flops / (found.weight_bytes + found.cache_bytes) == pytest.approx(intensity, rel=0.1)


def test_no_layer_reads_the_whole_table(llama: Serving) -> None:
    """Weights that no run of the ceiling reads in full still have to be held."""
    assert llama.decode is not None and llama.memory.weights.value is not None
    assert llama.memory.weights.value - llama.decode.ceiling.weight_bytes == pytest.approx(32000 * 4096 * 2, abs=9000)


@pytest.mark.parametrize(
    ("changes", "missing", "bound"),
    [
        ({"bandwidth": None}, "no bandwidth is known for hbm", ""),
        ({"float32": None}, "no peak is known for float32", ""),
        ({"bandwidth": None, "float32": None}, "no peak is known for float32", ""),
    ],
)
def test_what_a_profile_does_not_say(changes: dict[str, None], missing: str, bound: str, tmp_path: Path) -> None:
    served = asked("sample:decoder-gqa", device(tmp_path, **changes), context=64)
    assert served.decode is not None
    found = served.decode.ceiling
    assert missing in found.why and found.bound == bound
    assert (found.memory_s is None, found.compute_s is None) == ("bandwidth" in changes, "float32" in changes)
    assert (served.decode.ceiling_tokens_per_s is None) is (len(changes) == 2)
    assert served.compute_bound_batch is None and missing in served.compute_bound_why


def test_the_type_that_the_engine_computes_in(tmp_path: Path) -> None:
    """A float32 graph on an engine that has float16 alone: its peak, and half the bytes of weights and cache."""
    kinds = {"float16": 312 * 10**12, "float32": None}
    plain = device(tmp_path, **kinds)
    runtime = msgspec.structs.replace(plain.runtimes[0], computes={"float32": "float16"})
    wide, narrow = (
        sized("sample:decoder-gqa", gpu) for gpu in (plain, msgspec.structs.replace(plain, runtimes=(runtime,)))
    )
    before, found = (model.ceiling(model.run(2, 1, 63)) for model in (wide, narrow))
    assert before.compute_s is None and found.why == ""
    assert found.compute_s == pytest.approx(2 * GQA.macs(2, 1, 64) / 312e12)
    assert 2 * found.cache_bytes == before.cache_bytes
    assert 0 <= found.weight_bytes - before.weight_bytes // 2 <= 64  # ids and shapes stay as they are
    assert {kernel.dtype for kernel in narrow.kernels(narrow.run(2, 1, 63)) if kernel.macs.low} == {"float16"}


@pytest.mark.parametrize("name", ["google-tpu-v5e", "qualcomm-qcs8550"])
def test_a_shipped_device_that_computes_float32_narrower(name: str) -> None:
    """Its ceilings are those of the narrower type for a float32 graph, as far as the profile states its peak."""
    found = find(name)
    runtime = found.runtimes[0]
    kind = runtime.computes["float32"]
    served = asked("sample:decoder-gqa", found, context=64, prompt=16)
    assert served.decode is not None and served.decode.ceiling.seconds
    assert "float32" not in served.decode.ceiling.why
    (engine,) = (engine for engine in found.engines if engine.name == runtime.engine)
    peak, seconds = largest_flop_per_s(engine, kind), served.decode.ceiling.compute_s
    assert seconds == (pytest.approx(2 * GQA.macs(1, 1, 64) / peak) if peak else None)


def test_float32_may_be_computed_in_tfloat32(tmp_path: Path) -> None:
    """What a prompt takes at the least falls with the larger peak."""
    plain, fast = (
        asked("sample:decoder-gqa", device(tmp_path, **more), context=64, prompt=64)
        for more in ({}, {"tfloat32": 156 * 10**12})
    )
    assert plain.prefill is not None and fast.prefill is not None
    assert fast.prefill.ceiling.compute_s == pytest.approx((plain.prefill.ceiling.compute_s or 0) * 19.5 / 156)


NEAR = """
  - {name: near, kind: ram, size_bytes: 100000, read_bandwidth_byte_per_s: 1000000000000, holds: [activations]}
"""


def test_where_activations_lie_follows_from_the_run(tmp_path: Path) -> None:
    """A row of a sweep is what is found where its batch is asked for, whatever else was asked before."""
    gpu = device(tmp_path, second=NEAR, more=PERFORMANCE.format(dtype="float32"))
    gpu = msgspec.structs.replace(gpu, memories=(gpu.memories[1], gpu.memories[0]))
    sweeps = [asked("sample:decoder-gqa", gpu, context=64, batch=batch, prompt=16) for batch in (1, 256)]
    steps = [{row.batch: row.step.value for row in sweep.batches} for sweep in sweeps]
    assert steps[0] == steps[1] and steps[0][1] and steps[0][256]
    model = sized("sample:decoder-gqa", gpu)
    homes = {one.memory for batch in (1, 256) for one in model.latency(model.run(batch, 1, 63)).kernels if one.memory_s}
    assert homes == {"near", "hbm"}


# ---- estimates
def test_an_estimate_has_bounds_and_a_basis(tmp_path: Path) -> None:
    gpu = device(tmp_path, more=PERFORMANCE.format(dtype="float32"))
    served = asked("sample:decoder-gqa", gpu, context=64, batch=4, prompt=16)
    for phase, tokens, batch in ((served.prefill, 16, 1), (served.decode, 4, 4)):
        assert phase is not None and phase.latency.value is not None and phase.memory_share is not None
        assert phase.tokens_per_s.value == pytest.approx(tokens / phase.latency.value)
        assert phase.sequence_tokens_per_s.value == pytest.approx(tokens / batch / phase.latency.value)
        low, value, high = phase.tokens_per_s.low, phase.tokens_per_s.value, phase.tokens_per_s.high
        assert low is not None and high is not None and low < value < high
        assert value / low == pytest.approx(1.5) and "fitted to tests" in phase.tokens_per_s.basis
        assert high == pytest.approx(phase.ceiling_tokens_per_s) and "at the least the ceiling" in phase.latency.basis
        assert 0 <= phase.memory_share <= 1 and value < (phase.ceiling_tokens_per_s or 0)
    assert [row.batch for row in served.batches] == [1, 4, 16, 64, 256]


def test_the_cache_crosses_the_interface_in_full(tmp_path: Path) -> None:
    """However much of the other activations stays near the engine between kernels."""
    near = PERFORMANCE.format(dtype="float32") + "    activation_fraction: 0.0001\n    fused: [movement]\n"
    served = asked("sample:decoder-gqa", device(tmp_path, more=near), context=2**16, batch=8, prompt=1)
    assert served.decode is not None and served.decode.latency.value is not None
    read = served.decode.ceiling.weight_bytes + 8 * (2**16 - 1) * GQA.token
    assert served.decode.latency.value >= read / (0.8 * FIGURES["a100"]["bandwidth"])
    assert served.decode.latency.low == served.decode.ceiling.seconds


def test_an_estimate_begins_at_the_ceiling() -> None:
    """Nothing is faster; and that nothing comes nearer to it than the graph as written is not claimed."""
    ends = "; at the least the ceiling"
    assert bounded(Seconds(1.0, 0.5, 1.5, "b"), 2.0) == Seconds(2.0, 2.0, 2.0, f"b{ends}")
    assert bounded(Seconds(5.0, 3.0, None, "b"), 2.0) == Seconds(5.0, 2.0, None, f"b{ends}")
    for low in (0.5, 3.0):
        found = bounded(Seconds(None, low, None, "lower bound: bytes; no efficiency"), 2.0)
        assert found == Seconds(None, 2.0, None, "lower bound: the ceiling; no efficiency")
    kept = Seconds(3.0, 2.0, 4.0, "b")
    assert bounded(kept, None) is kept


def test_what_caches_keep_need_not_be_read_again(tmp_path: Path) -> None:
    """An estimate begins where both caches are full of what is read; the ceiling says what a run reads."""
    caches = "".join(f"  - {{name: {name}, kind: cache, size_bytes: 100000}}\n" for name in ("l2", "l3"))
    model = sized("sample:decoder-gqa", device(tmp_path, second=caches))
    run = model.run(1, 1, 63)
    found, speed = model.ceiling(run), FIGURES["a100"]["bandwidth"]
    read = found.weight_bytes + found.cache_bytes
    assert found.memory_s == pytest.approx(read / speed) and not found.held
    assert model.least(run) == pytest.approx((read - 200_000) / speed)


def test_what_stays_in_the_cache_of_the_processor(tmp_path: Path) -> None:
    """Bandwidth does not bound what need not come from memory again; compute still does."""
    gpu = device(tmp_path, second="  - {name: l2, kind: cache, size_bytes: 50000000}")
    served = asked("sample:decoder-gqa", gpu, context=64, prompt=64)
    assert served.decode is not None and served.prefill is not None
    assert (served.decode.bound, served.prefill.bound) == ("", "compute")
    assert served.decode.ceiling.held == "l2" and "fits in l2" in served.decode.ceiling.why
    assert asked("sample:decoder-gqa", gpu, context=10**6, prompt=1).decode.bound == "bandwidth"  # type: ignore[union-attr]


def test_without_an_efficiency_there_is_a_bound_alone(llama: Serving) -> None:
    assert llama.decode is not None
    found = llama.decode.tokens_per_s
    assert found.value is None and found.low is None and "no efficiency is known" in found.basis
    assert found.high == llama.decode.ceiling_tokens_per_s  # the graph copies the cache; the ceiling does not
    assert llama.tokens_per_s is found


@given(st.floats(1e-6, 1e3), st.floats(1, 10), st.integers(1, 10**6))
def test_rates_turn_bounds_round(seconds: float, factor: float, tokens: int) -> None:
    found = rate(tokens, Seconds(seconds, seconds / factor, seconds * factor, "b"))
    assert found.low is not None and found.value is not None and found.high is not None
    assert found.low <= found.value <= found.high and found.basis == "b"
    assert rate(tokens, Seconds(None, 0.0, None, "b")).high is None


# ---- sweeps
def test_sweeps_fall_and_rise(llama: Serving) -> None:
    """Longer contexts: more memory, fewer tokens. Larger batches: more tokens in all, no shorter step."""
    assert [row.context for row in llama.contexts] == [187, 375, 750, 1500, 3000]
    for short, long in pairwise(llama.contexts):
        assert short.total.low < long.total.low
        assert (short.ceiling_tokens_per_s or 0) > (long.ceiling_tokens_per_s or 0)
        assert short.fits or not long.fits
    for small, large in pairwise(llama.batches):
        assert (small.ceiling_tokens_per_s or 0) < (large.ceiling_tokens_per_s or 0)
        assert small.step.low <= large.step.low
    fitting = [row.batch for row in llama.batches if row.fits]
    assert fitting and llama.largest_batch.sure is not None and max(fitting) <= llama.largest_batch.sure


@settings(max_examples=4)
@given(st.integers(2, 40), st.integers(11, 13))
def test_the_batch_from_which_a_step_is_compute_bound(
    tmp_path_factory: pytest.TempPathFactory, context: int, exponent: int
) -> None:
    """At it the ceiling is that of compute, one below it is not: and there is none where each sequence has more to read
    than to compute."""
    gpu = device(tmp_path_factory.mktemp("gpu"), float32=10**exponent * 4)
    served = asked("sample:decoder-gqa", gpu, context=context, prompt=1)
    model, found = sized("sample:decoder-gqa", gpu), served.compute_bound_batch
    bounds = {b: model.ceiling(model.run(b, 1, context - 1)).bound for b in (1, (found or 2) - 1 or 1, found or 10**6)}
    if found is None:
        assert set(bounds.values()) == {"bandwidth"} and "more to read" in served.compute_bound_why
    else:
        assert bounds[found] == "compute" and (found == 1 or bounds[found - 1] == "bandwidth")


# ---- what is known from below alone
def test_work_that_is_not_known_bounds_nothing(tmp_path: Path) -> None:
    """How far GroupQueryAttention looks is fed at run time: its work is a range, and nothing is said for sure."""
    served = asked(saved(caches.grouped(), tmp_path), device(tmp_path), context=64, batch=2)
    assert served.decode is not None and served.decode.macs.value is None
    assert "MACs at least" in served.decode.ceiling.why
    assert served.decode.tokens_per_s.value is None and served.memory.cache == Quantity(16384, 16384)


# ---- the lines
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sample:decoder-gqa", {"context": 4096, "batch": 2, "kv_dtype": "int8"}),
        ("sample:decoder-gqa", {"context": 64, "reserve": {"hbm": 79_999_900_000}}),
        ("sample:bert-base", {"context": 128}),
    ],
)
def test_the_lines(name: str, options: dict[str, object], tmp_path: Path) -> None:
    served = asked(name, device(tmp_path, more=PERFORMANCE.format(dtype="float32")), **options)
    shown = list(lines(served))
    assert all(len(line) <= WIDTH for line in shown)
    text = " ".join(" ".join(shown).split())
    assert ("short" if "reserve" in options else "left") in text
    for row in served.roles:
        assert row.dims[0] in text
    assert f"at batch {served.batch}" in text and served.notes[0] in text
    if served.decode is None:
        assert "none: the model has no key/value cache" in text
    else:
        assert "1 token x" in text and "memory-bound" in text and "a token; 2.0 x as MHA" in text
    assert len(shown) <= 26 and len(list(lines(served, 0, 3))) < len(shown)


def test_the_lines_of_what_is_not_known(tmp_path: Path) -> None:
    served = asked("sample:decoder-gqa", device(tmp_path, size=None, bandwidth=None, float32=None), context=64)
    text = " ".join(" ".join(lines(served)).split())
    for words in ("not known: the size of hbm", "ceiling not known", "no peak is known for float32"):
        assert words in text
