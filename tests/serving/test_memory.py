"""Weights, cache and activations against figures worked out by hand; what fits, and the largest sizes that do."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit.serving.needs import Shape, needs
from effaudit.serving.search import largest
from effaudit.serving.sized import Run, Sized
from effaudit.views.kv_cache import kv_cache
from tests.corpus.score import folder
from tests.views import caches

from .devices import device
from .served import GQA, LLAMA_7B, SAMPLES, Config, asked, saved, sized

CORPUS = folder()
STEP = Shape(1, 16, True)


@pytest.fixture(scope="module")
def gqa(tmp_path_factory: pytest.TempPathFactory) -> Sized:
    return sized("sample:decoder-gqa", device(tmp_path_factory.mktemp("gqa")))


# ---- weights and cache
@pytest.mark.parametrize(("name", "config"), SAMPLES.items())
def test_weights_and_cache_by_hand(name: str, config: Config, tmp_path: Path) -> None:
    model = sized(name, device(tmp_path))
    run = model.run(1, 1, 15)
    constants = model.constants(run)
    assert constants.weights.value == constants.stored == config.params * config.bytes
    assert model.token.value == config.token
    for batch, context in ((1, 1), (4, 2048), (3, 32768)):
        assert model.cache_of(batch, context).value == batch * context * config.token


def test_llama_2_7b(tmp_path: Path) -> None:
    """524,288 bytes a token; 13,476,831,232 of weights: https://arxiv.org/abs/2307.09288, 6,738,415,616 parameters."""
    assert LLAMA_7B.token == 524_288 and LLAMA_7B.params == 6_738_415_616
    model = sized("sample:decoder-7b", device(tmp_path))
    assert model.token.value == 524_288
    assert model.constants(model.run(1, 1, 1)).weights.value == 13_476_831_232
    assert model.cache_of(1, 512).value == 268_435_456  # 268.4 MB: not the half of it


def test_the_cache_is_that_of_the_view(tmp_path: Path) -> None:
    """The same sums as the view of the cache, for layers of all kinds."""
    models = (caches.decoder(), caches.grouped(window=16), caches.stacked(), caches.latent(), caches.eight_bits())
    for model in models:
        made = sized(saved(model, tmp_path), device(tmp_path))
        for context, batch in ((1, 1), (16, 2), (100, 3)):
            view = kv_cache(made.audited, context=context, batch=batch)
            assert view is not None and made.cache_of(batch, context) == view.bytes


def test_a_window_bounds_the_cache(tmp_path: Path) -> None:
    path, gpu = saved(caches.grouped(window=16), tmp_path), device(tmp_path)
    served = asked(path, gpu, context=1000, batch=2)
    assert served.memory.cache.value == 2 * 16 * 2 * 2 * 8 * 4
    assert served.longest_context.limit == "none" and served.longest_context.sure is None


@pytest.mark.parametrize(("options", "bits"), [({"kv_dtype": "fp16"}, 16), ({"kv_dtype": "int8"}, 8), ({}, 32)])
def test_the_type_of_the_cache(options: dict[str, str], bits: int, tmp_path: Path) -> None:
    served = asked("sample:decoder-gqa", device(tmp_path), context=100, **options)
    assert served.memory.cache.value == 100 * GQA.token * bits // 32
    assert [f.rule for f in served.findings] == (["kv-dtype"] if options else [])


def test_as_if_quantized(tmp_path: Path) -> None:
    gpu = device(tmp_path)
    plain, half = (asked("sample:decoder-gqa", gpu, context=100, quantize=q) for q in (None, "fp16"))
    assert half.memory.weights.value == half.memory.stored == GQA.params * 2
    assert plain.memory.cache.value == 2 * (half.memory.cache.value or 0) and half.kv_dtype == "float16"
    apart = asked("sample:decoder-gqa", gpu, context=100, quantize="fp16", kv_dtype="int8")
    assert apart.memory.cache.value == 100 * GQA.token // 4


def test_the_published_totals_of_larger_models(tmp_path: Path) -> None:
    """13B at 2,048 tokens and batch 4: 6.71 GB of cache; 8 key heads for 64 query heads: an eighth; 1 for 64: a
    64th; 32 sequences of 8 times 512 tokens: 256 times the cache."""
    g = caches.Graph(caches.FLOAT16)
    x = g.input("x", ["batch", "new", 40 * 128])
    for i in range(40):
        past = [g.input(f"past.{i}.{p}", ["batch", 40, "past", 128]) for p in ("key", "value")]
        outs = [g.output(f"present.{i}.{p}") for p in ("key", "value")]
        out = g.output("y") if i == 39 else ""
        x = g.node("Attention", [x, x, x, "", *past], [out, *outs], q_num_heads=40, kv_num_heads=40)
    model = sized(saved(g.model(25), tmp_path), device(tmp_path))
    assert model.cache_of(4, 2048).value == 6_710_886_400
    assert (model.cache_of(32, 4096).value or 0) // (model.cache_of(1, 512).value or 1) == 256
    for kv_heads in (8, 1):
        served = asked(saved(caches.decoder(1, 64, kv_heads), tmp_path), device(tmp_path), context=8)
        assert served.mha_ratio == 64 / kv_heads


# ---- activations
def live_without(run: Run, names: frozenset[str]) -> int:
    """The most bytes alive at one node, each tensor apart, but for those named: node by node, nothing shared."""
    graph, known = run.graph, run.flow
    steps = [i for i, runs in enumerate(known.live) if runs]
    last = {name: i for i in steps for name in known.reads[i]}
    last.update(dict.fromkeys(graph.outputs, steps[-1]))
    alive: dict[str, int] = {n: _size(run, n) for n in graph.inputs if n in last and n not in names}
    worst = 0
    for i in steps:
        made = [n for n in graph.nodes[i].outputs if n in known.varying and n not in names]
        alive.update({n: _size(run, n) for n in made})
        worst = max(worst, sum(alive.values()))
        alive = {n: size for n, size in alive.items() if last.get(n, -1) > i}
    return worst


def _size(run: Run, name: str) -> int:
    size = run.graph.values[name].nbytes
    assert isinstance(size, int)
    return size


@pytest.mark.parametrize(("new", "past"), [(1, 31), (16, 0), (4, 12)])
def test_activations_are_the_arena_without_the_cache(new: int, past: int, tmp_path: Path) -> None:
    model = sized("sample:decoder-gqa", device(tmp_path, rules="as-written"))
    run = model.run(2, new, past)
    floor, arena = live_without(run, model.names), model.activations(run).value
    assert arena is not None and floor <= arena <= floor * 1.05
    assert arena < live_without(run, frozenset())


def test_the_cache_is_not_counted_twice(tmp_path: Path) -> None:
    """Total = weights + tables + cache + the larger arena; the graph's own inputs and outputs hold two caches."""
    served = asked("sample:decoder-gqa", device(tmp_path), context=4096, batch=2, prompt=1)
    m = served.memory
    assert m.total.value == GQA.params * 4 + m.tables + 2 * 4096 * GQA.token + m.activations.low
    assert m.activations.value == max(m.decode_activations.low, m.prefill_activations.low)  # type: ignore[union-attr]
    assert m.apart.value == 2 * 4095 * GQA.token


def test_prompts_are_fed_one_at_a_time(tmp_path: Path) -> None:
    """But for a model without a cache, which takes its whole batch in a run."""
    gpu = device(tmp_path)
    one, eight = (asked("sample:decoder-gqa", gpu, context=64, batch=batch, prompt=32) for batch in (1, 8))
    assert one.prefill is not None and eight.prefill is not None and eight.prefill.batch == one.prefill.batch == 1
    assert one.memory.prefill_activations == eight.memory.prefill_activations
    assert any("one sequence at a time" in note for note in eight.notes)
    whole = asked("sample:bert-base", gpu, context=16, batch=8).prefill
    assert whole is not None and (whole.batch, whole.new) == (8, 16)


# ---- laws
@settings(max_examples=12)
@given(st.integers(1, 6), st.integers(1, 300), st.integers(0, 3), st.integers(0, 200))
def test_more_never_needs_less(gqa: Sized, batch: int, context: int, wider: int, longer: int) -> None:
    less, more = needs(gqa, STEP, batch, context), needs(gqa, STEP, batch + wider, context + longer)
    assert (less.total.value or 0) <= (more.total.value or 0)
    assert less.weights == more.weights


@settings(max_examples=4)
@given(st.integers(700_000, 40_000_000), st.integers(1, 5))
def test_the_longest_context_is_the_longest(tmp_path_factory: pytest.TempPathFactory, size: int, batch: int) -> None:
    gpu = device(tmp_path_factory.mktemp("gpu"), size=size)
    served = asked("sample:decoder-gqa", gpu, context=4, batch=batch, prompt=2)
    longest, widest = served.longest_context.sure, served.largest_batch.sure
    assert longest is not None and widest is not None and served.longest_context.limit == "memory"
    model, shape = sized("sample:decoder-gqa", gpu), Shape(1, 2, True, prompts=1)
    for at, beyond in (((batch, longest), (batch, longest + 1)), ((widest, 4), (widest + 1, 4))):
        if 0 not in at:
            assert (needs(model, shape, *at).total.value or 0) <= size
        assert (needs(model, shape, *beyond).total.value or 0) > size
    assert served.memory.fits is (longest >= 4) is (widest >= batch)


def test_nothing_fits(tmp_path: Path) -> None:
    served = asked("sample:decoder-gqa", device(tmp_path, size=500_000), context=64)
    assert served.memory.fits is False and served.memory.short == (served.memory.total.value or 0) - 500_000
    assert served.longest_context.sure == served.largest_batch.sure == 0
    (use,) = served.memory.uses
    assert use.need == served.memory.total  # what has no place is shown where it would lie


def test_a_reserve_takes_its_part(tmp_path: Path) -> None:
    gpu = device(tmp_path, size=10_000_001)
    tenth, plain = (
        asked("sample:decoder-gqa", gpu, context=64, reserve=reserve) for reserve in ({"hbm": 1_000_001}, {})
    )
    (use,) = tenth.memory.uses
    assert (use.reserved.value, use.need.value) == (1_000_001, 1_000_001 + (plain.memory.total.value or 0))
    assert (tenth.longest_context.sure or 0) < (plain.longest_context.sure or 0)


def test_a_memory_of_unknown_size(tmp_path: Path) -> None:
    served = asked("sample:decoder-gqa", device(tmp_path, size=None), context=64)
    assert served.memory.fits is None and "size of hbm" in served.memory.why
    assert served.longest_context.limit == "unknown" and "size of hbm" in served.longest_context.why
    assert {row.fits for row in (*served.contexts, *served.batches)} == {None}


def test_what_is_a_range_stays_one(tmp_path: Path) -> None:
    """ONNX Runtime's own arena depends on its version: so does the longest context."""
    served = asked("sample:decoder-gqa", device(tmp_path, rules="ort", size=3_000_000), context=64, prompt=8)
    low, high = served.memory.total.bounds
    longest = served.longest_context
    assert high is not None and low is not None and low < high and served.memory.why
    assert longest.sure is not None and longest.at_most is not None and longest.sure < longest.at_most
    between = asked("sample:decoder-gqa", device(tmp_path, rules="ort", size=(low + high) // 2), context=64, prompt=8)
    assert between.memory.fits is None and between.memory.short == 0


def test_a_large_graph_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("effaudit.serving.sized.MAX_WORK", 0)
    served = asked("sample:decoder-gqa", device(tmp_path), context=64)
    assert served.memory.fits and served.decode is not None
    assert served.longest_context.limit == "unknown" and "too large" in served.longest_context.why
    assert [row.context for row in served.contexts] == [64] and [row.batch for row in served.batches] == [1]


def test_weights_that_spill(tmp_path: Path) -> None:
    """Weights fill the first memory that may hold them, the rest goes to the next; the cache needs one that may."""
    gpu = device(tmp_path, size=300_000, second=SECOND)
    served = asked("sample:decoder-gqa", gpu, context=16, prompt=1)
    near, far = served.memory.uses
    assert near.weights.value == 300_000 and far.weights.value == GQA.params * 4 + served.memory.tables - 300_000
    assert far.cache.value == 16 * GQA.token and served.memory.fits


def test_no_memory_for_a_cache(tmp_path: Path) -> None:
    gpu = device(tmp_path)
    memory = msgspec.structs.replace(gpu.memories[0], holds=("weights",))
    served = asked("sample:decoder-gqa", msgspec.structs.replace(gpu, memories=(memory,)), context=64)
    assert served.memory.fits is False and served.memory.why == "no memory of nvidia-a100 may hold the cache"


SECOND = """
  - name: far
    kind: dram
    size_bytes: 100000000
    read_bandwidth_byte_per_s: 1000000000000
    holds: [weights, activations, kv_cache]
"""


# ---- the graph's own limits
@pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")
def test_a_table_of_positions_ends_the_context(tmp_path: Path) -> None:
    assert CORPUS is not None
    path = str(CORPUS / "models" / "gpt2_mini_64.dynamo.op18.dynseq.onnx")
    served = asked(path, device(tmp_path), context=2000)
    assert served.positions == served.longest_context.sure == 1024 and served.longest_context.limit == "positions"
    assert [f.rule for f in served.findings] == ["no-kv-cache", "positions"]
    assert asked(path, device(tmp_path)).context == 1024  # what the file states, where nothing is asked
    # The table of tokens is the last product too: a runtime may keep it twice.
    assert served.memory.weights.high == served.memory.weights.low + 5000 * 192 * 4


def test_a_model_without_a_cache_recomputes(tmp_path: Path) -> None:
    served = asked("sample:bert-base", device(tmp_path), context=128)
    assert served.decode is None and served.prefill is not None and served.prefill.new == 128
    assert served.memory.cache.value == 0 and served.positions == 512
    (finding,) = served.findings
    assert finding.rule == "no-kv-cache" and "72.00 KiB a token" in finding.message


def test_rotary_angles_that_are_computed_have_no_end(tmp_path: Path) -> None:
    assert asked("sample:decoder-gqa", device(tmp_path), context=8).positions is None


def test_a_table_of_angles_ends_the_context(tmp_path: Path) -> None:
    g = caches.Graph()
    x = g.input("x", ["batch", "new", 32])
    at = g.input("position_ids", ["batch", "new"], caches.INT64)
    past = [g.input(f"past.0.{p}", ["batch", 4, "past", 8]) for p in ("key", "value")]
    outs = [g.output(f"present.0.{p}") for p in ("key", "value")]
    q, k, v = (g.linear(x, 32, 32) for _ in "qkv")
    angles = [g.weight(77, 4), g.weight(77, 4)]
    k = g.node("RotaryEmbedding", [k, at, *angles], domain=caches.MICROSOFT, num_heads=4)
    g.node("Attention", [q, k, v, "", *past], [g.output("y"), *outs], q_num_heads=4, kv_num_heads=4)
    served = asked(saved(g.model(25), tmp_path), device(tmp_path), context=50)
    assert served.positions == 77 and served.longest_context == served.longest_context.__class__(77, 77, "positions")
    assert [row.context for row in served.contexts] == [6, 12, 25, 50]


# ---- the search
@settings(max_examples=60)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(-40, 400), st.integers(1, 70))
def test_the_search_finds_the_last_that_fits(falls: list[int], start: int, most: int) -> None:
    def left(n: int) -> int:
        return start - sum(falls[: min(n - 1, len(falls))]) - (max(n - len(falls), 0))

    best = max((n for n in range(1, most + 1) if left(n) >= 0), default=0)
    assert largest(left, most) == (None if best == most else best)


@given(st.integers(1, 10**12), st.integers(0, 10**15), st.integers(1, 10**6))
def test_a_straight_line_takes_few_trials(slope: int, room: int, spread: int) -> None:
    trials = []

    def left(n: int) -> int:
        trials.append(n)
        return room - slope * n - n // spread

    found = largest(left, 2**31)
    assert found is None or (left(found + 1) < 0 and (not found or left(found) >= 0))
    assert len(trials) <= 30
