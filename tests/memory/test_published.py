"""Figures that were measured or published elsewhere, from the command's own document."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from effaudit.load import Given
from effaudit.memory.asked import Asked, Cache, Stage
from effaudit.memory.model import plan_memory
from effaudit.memory.types import ModelMemory

ONE = Given(dims={"batch": 1})


def planned(name: str, runtime: str = "as-written", given: Given = Given(), **asked: Any) -> ModelMemory:
    (made,) = plan_memory(f"sample:{name}", given, [Asked(runtime=runtime, **asked)])
    return made


# TensorFlow Lite Micro's own interpreter: benchmarks/tflm.py measures them again
@pytest.mark.parametrize(
    ("name", "arena", "floor"),
    [("ad", 768, 768), ("kws", 16_000, 16_000), ("ic", 49_152, 49_152), ("vww", 73_728, 55_296)],
)
def test_arenas_of_tflm(name: str, arena: int, floor: int) -> None:
    found = planned(f"{name}-int8", "tflm", ONE if name == "ad" else Given()).memory
    assert (found.arena_bytes, found.floor_bytes, found.planner, found.align) == (arena, floor, "tflm", 16)
    assert found.proven_optimal is (arena == floor)


def test_a_better_plan_of_the_visual_wake_words() -> None:
    found = planned("vww-int8", "tflm", planner="best").memory
    assert (found.arena_bytes, found.floor_bytes, found.proven_optimal, found.gap) == (55_296, 55_296, True, 0.0)
    (remedy, *_) = [r for r in planned("vww-int8", "tflm").remedies if r.option == "--planner best"]
    assert (remedy.arena_bytes, round(remedy.saves, 4)) == (55_296, 0.25)


def test_live_bytes_as_written_are_those_of_the_report() -> None:
    """A quantized file as written keeps its float tensors: 196,608, not 49,152."""
    import effaudit

    for name in ("ic", "ic-int8", "kws", "unet"):
        report, memory = effaudit.audit(f"sample:{name}").memory, planned(name).memory
        for figure in ("sum_bytes", "max_in_out_bytes", "live_bytes", "live_bounds", "inplace_bytes", "peak_node"):
            assert getattr(report, figure) == getattr(memory, figure)
    assert planned("ic-int8").memory.live_bytes == 196_608


def test_mobilenet_v2_in_int8() -> None:
    """https://github.com/petewarden/ml_memory_analyser: 1,505,280; MCUNetV2, figure 1: 1,372 KiB in place."""
    fused, in_place = (planned("mobilenetv2", name, quantize="int8").memory for name in ("ideal", "tinyengine"))
    assert fused.live_bytes == in_place.live_bytes == 1_505_280
    assert (in_place.inplace_bytes, in_place.arena_bytes, in_place.proven_optimal) == (1_404_928, 1_404_928, True)
    assert in_place.arena_bytes == 1372 * 1024


STAGE = Stage("features/4/conv/3/BatchNormalization_output_0", (4, 4))


def test_patches_of_mobilenet_v2() -> None:
    """MCUNetV2: 4 x 4 patches over the stem and four blocks; every tensor of a patch apart."""
    found = planned("mobilenetv2", "ideal", quantize="int8", patch=STAGE).memory.patched
    assert found is not None
    assert (found.grid, found.tile) == ((4, 4), (7, 7))
    assert found.stage_streamed_bytes == 170_432  # 166.4 KiB
    assert found.stage_bytes == 170_432 + 3 * 224 * 224  # 313.4 KiB
    assert found.ratio == pytest.approx(1.306, abs=5e-4)
    assert found.unclipped_macs is not None
    assert found.unclipped_macs / found.stage_macs == pytest.approx(1.42, abs=5e-3)


def test_patches_of_mobilenet_v2_with_depthwise_in_place() -> None:
    """Then the rest of the network decides: 196.0 KiB of the whole, where every tensor apart would take 318.5."""
    found = planned("mobilenetv2", "tinyengine", quantize="int8", patch=STAGE).memory.patched
    apart = planned("mobilenetv2", "ideal", quantize="int8", patch=STAGE).memory.patched
    assert found is not None and apart is not None
    assert found.stage_streamed_bytes == 162_288
    assert found.patched_streamed_bytes == found.rest_bytes == 196 * 1024
    assert apart.rest_bytes == 326_144


def test_the_cache_of_a_seven_billion_decoder() -> None:
    """32 layers x 32 heads x 128 x 512 tokens x 2 bytes, keys and values: 268.4 MB."""
    found = planned("decoder-7b", cache=Cache(context=512, batch=1)).kv_cache
    assert found is not None
    assert (found.token_bytes, found.bytes) == (524_288, 268_435_456)
    assert found.formula == "524288*batch*past_sequence_length"
    windowed = planned("decoder-7b", cache=Cache(context=512, batch=1, window=128)).kv_cache
    assert windowed is not None
    assert windowed.bytes == 268_435_456 // 4


def test_scores_of_bert_base() -> None:
    found = planned("bert-base", given=Given(dims={"batch": 1, "sequence": 512}))
    assert found.scores is not None
    assert found.scores.live_bytes == found.memory.live_bytes == 4 * (7_077_888 + 512)
    assert found.scores.flash_live_bytes == 20_449_280
    assert any("never stores its scores" in r.what and r.arena_bytes == 20_449_280 for r in found.remedies)


def test_training_is_an_estimate_of_all_activations() -> None:
    from fractions import Fraction

    memory = planned("ic", training=Fraction(1, 4)).memory
    found = memory.training
    assert found is not None and found.estimate
    weights = 77_706 * 4
    assert (found.activation_bytes, found.kept_bytes) == (memory.sum_bytes, -(-(memory.sum_bytes or 0) // 4))
    assert found.training_bytes == (found.kept_bytes or 0) + weights + weights // 4
    assert memory.training_bytes == found.training_bytes


def test_every_sample_under_every_runtime_holds_its_laws() -> None:
    from effaudit.runtimes import names

    for sample in ("ic-int8", "kws", "unet", "control-flow", "decoder-gqa", "lstm"):
        runs = [Asked(runtime=name, effort="low") for name in names()]
        for made in plan_memory(f"sample:{sample}", Given(), runs):
            m = made.memory
            low = m.arena_bounds[0]
            assert low is not None
            if m.arena_bytes is not None:
                assert m.floor_bytes is not None
                assert m.floor_bytes <= m.arena_bytes <= sum(-(-(b.bytes or 0) // m.align) * m.align for b in m.buffers)
                assert m.proven_optimal is (m.arena_bytes == m.floor_bytes)
            if m.sum_bytes is not None and m.live_bytes is not None and m.max_in_out_bytes is not None:
                assert m.max_in_out_bytes <= m.live_bytes <= m.sum_bytes
            if m.best_order_bytes is not None and m.live_bytes is not None:
                assert m.best_order_bytes <= m.live_bytes
            assert all(r.saves > 0 for r in made.remedies)
            assert msgspec.json.encode(made)


def test_columns_and_rows_of_a_layer() -> None:
    """The stem of VWW: 3 x 96 x 96 to 8 x 48 x 48 by 3 x 3 at stride 2, one byte each."""
    made = planned("vww-int8", "im2col", kernels=1)
    assert made.kernels is not None
    stem = made.kernels[0]
    assert (stem.rows, stem.input_rows) == (1, 3)
    assert stem.rows_bytes == 3 * 3 * 96 + 8 * 48
    assert stem.whole_bytes == 3 * 96 * 96 + 8 * 48 * 48
    assert stem.im2col_bytes == 27 * 48 * 48 == made.memory.scratch_bytes
    assert (stem.im2col_row_bytes, stem.im2col_pixel_bytes) == (27 * 48, 27)
    assert made.memory.arena_with_scratch_bounds == [3 * 96 * 96 + 8 * 48 * 48 + 27 * 48 * 48] * 2
