"""The calculator over named formulas: laws against brute force, and what it says when it cannot calculate."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from effaudit.errors import UsageError
from effaudit.explain.formulas import Answer, calculate, find, formulas, page
from effaudit.printable import printable

SMALL = st.integers(1, 4)
FORMULAS = {formula.name: formula for formula in formulas()}


def value(name: str, **arguments: Any) -> Any:
    texts = {key.rstrip("_"): "x".join(map(str, v)) if isinstance(v, tuple) else str(v) for key, v in arguments.items()}
    return calculate(name, texts).value


# ------------------------------------------------------------------ brute force


@given(SMALL, SMALL, st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL), st.integers(1, 3), st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_conv_macs_count_the_loop(
    per_group: int, filters: int, k: tuple[int, int], out: tuple[int, int], g: int, batch: int
) -> None:
    cin, cout = per_group * g, filters * g
    macs = 0
    for _image, _filter, _y, _x in itertools.product(range(batch), range(cout), range(out[0]), range(out[1])):
        for _channel, _ky, _kx in itertools.product(range(cin // g), range(k[0]), range(k[1])):
            macs += 1
    assert value("conv-macs", cin=cin, cout=cout, k=k, out=out, g=g, batch=batch) == macs


@given(SMALL, SMALL, SMALL, SMALL, SMALL)
def test_grouped_is_standard_over_groups(a: int, b: int, k: int, out: int, g: int) -> None:
    channels = {"cin": a * g, "cout": b * g, "k": k}
    for name, size in (("conv-macs", {"out": out}), ("conv-params", {})):
        assert value(name, **channels, **size, g=g) * g == value(name, **channels, **size)


@given(SMALL, SMALL, SMALL)
def test_depthwise_is_grouped_by_channel(c: int, k: int, out: int) -> None:
    assert value("depthwise-conv-macs", c=c, k=k, out=out) == value("conv-macs", cin=c, cout=c, k=k, out=out, g=c)
    assert value("depthwise-conv-params", c=c, k=k) == value("conv-params", cin=c, cout=c, k=k, g=c)


@given(SMALL, SMALL, SMALL, SMALL)
def test_separable_is_depthwise_and_pointwise(cin: int, cout: int, k: int, out: int) -> None:
    parts = value("depthwise-conv-macs", c=cin, k=k, out=out) + value(
        "pointwise-conv-macs", cin=cin, cout=cout, out=out
    )
    assert value("separable-conv-macs", cin=cin, cout=cout, k=k, out=out) == parts
    standard = value("conv-macs", cin=cin, cout=cout, k=k, out=out)
    assert value("separable-conv-reduction", cout=cout, k=k) == pytest.approx(standard / parts, rel=1e-12)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.booleans())
def test_linear_is_a_pointwise_convolution(cin: int, cout: int, tokens: int, bias: bool) -> None:
    assert value("linear-macs", cin=cin, cout=cout, tokens=tokens) == value(
        "conv-macs", cin=cin, cout=cout, k=1, out=tokens, rank=1
    )
    word = "yes" if bias else "no"
    assert value("linear-params", cin=cin, cout=cout, bias=word) == value(
        "conv-params", cin=cin, cout=cout, k=1, bias=word
    )
    assert value("matmul-macs", m=tokens, k=cin, n=cout) == value("linear-macs", cin=cin, cout=cout, tokens=tokens)


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(0, 4), st.integers(1, 3))
def test_output_size_counts_positions(size: int, k: int, s: int, p: int, d: int) -> None:
    window = d * (k - 1) + 1
    positions = [start for start in range(size + 2 * p) if start % s == 0 and start + window <= size + 2 * p]
    if not positions:
        with pytest.raises(UsageError, match="must fit"):
            value("conv-output-size", in_=size, k=k, s=s, p=p, d=d)
        return
    assert value("conv-output-size", in_=size, k=k, s=s, p=p, d=d) == len(positions)
    assert value("pool-output-size", in_=size, k=k, s=s, p=p, d=d) == len(positions)
    macs = value("conv-macs", cin=1, cout=1, k=k, s=s, p=p, d=d, in_=size, rank=1)
    assert macs == len(positions) * k


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3), st.integers(0, 1))
def test_transposed_output_size(size: int, k: int, s: int, p: int, d: int, extra: int) -> None:
    """The output that a convolution of the same arguments would map back to the input's size."""
    window = d * (k - 1) + 1
    touched = {position * s + offset for position in range(size) for offset in range(0, window, d)}
    length = max(touched) + 1 + extra - 2 * p
    assume(length >= 1)
    assert value("conv-transpose-output-size", in_=size, k=k, s=s, p=p, d=d, output_padding=extra) == length


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)), min_size=1, max_size=4))
def test_receptive_field_by_enumeration(layers: list[tuple[int, int, int]]) -> None:
    seen = {0}
    for k, s, d in reversed(layers):
        seen = {position * s + offset * d for position in seen for offset in range(k)}
    texts = {name: ",".join(str(layer[i]) for layer in layers) for i, name in enumerate(("k", "s", "d"))}
    assert calculate("receptive-field", texts).value == max(seen) - min(seen) + 1


@given(SMALL, SMALL, SMALL, SMALL, SMALL, st.integers(1, 2))
def test_attention_is_the_sum_of_its_parts(
    tokens: int, kv_heads: int, shared: int, head_dim: int, kv_tokens: int, batch: int
) -> None:
    heads = kv_heads * shared
    d = heads * head_dim
    widths = {"tokens": tokens, "d": d, "heads": heads, "batch": batch}
    qkv = value("attention-qkv-macs", **widths, kv_heads=kv_heads)
    scores = value("attention-score-macs", **widths, kv_tokens=kv_tokens)
    output = value("attention-output-macs", **widths)
    total = value("attention-macs", **widths, kv_heads=kv_heads, kv_tokens=kv_tokens)
    assert total == qkv + scores + output
    queries, keys = np.zeros((batch, heads, tokens, head_dim)), np.zeros((batch, heads, kv_tokens, head_dim))
    products = queries[:, :, :, None, :] * keys[:, :, None, :, :]
    assert scores == 2 * products.size
    assert value("attention-qkv-params", d=d, heads=heads, kv_heads=kv_heads) * tokens * batch == qkv


@given(st.integers(1, 40), st.integers(1, 40))
def test_block_is_attention_and_feed_forward(tokens: int, d: int) -> None:
    block = value("transformer-block-macs", tokens=tokens, d=d)
    assert block == value("attention-macs", tokens=tokens, d=d) + value("ffn-macs", tokens=tokens, d=d)
    assert block == 12 * tokens * d * d + 2 * tokens * tokens * d
    assert value("transformer-forward-flops", layers=3, tokens=tokens, d=d) == 6 * block
    shares = [value("transformer-block-share", part=p, tokens=tokens, d=d) for p in ("qkv", "scores", "output", "ffn")]
    assert sum(shares) == pytest.approx(1, rel=1e-12)


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_csr_is_as_large_as_its_arrays(rows: int, cols: int, data: st.DataObject) -> None:
    dense = np.array(data.draw(st.lists(st.integers(0, 2), min_size=rows * cols, max_size=rows * cols))).reshape(
        rows, -1
    )
    values = dense[dense != 0].astype(np.float32)
    columns = np.nonzero(dense)[1].astype(np.int32)
    pointers = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))]).astype(np.int32)
    arrays = values.nbytes + columns.nbytes + pointers.nbytes
    assert value("csr-bytes", nnz=values.size, rows=rows) == arrays
    assert value("sparse-payload-bytes", nnz=values.size) == arrays - pointers.nbytes
    even = value("csr-break-even", rows=rows, cols=cols)
    stored = (1 - even) * rows * cols * 8 + pointers.nbytes
    assert stored == pytest.approx(rows * cols * 4, rel=1e-9)


@given(st.integers(-5000, 0), st.integers(1, 5000), st.integers(0, 1000), st.integers(2, 8))
def test_quantization_round_trip_is_within_half_a_step(low: int, high: int, where: int, bits: int) -> None:
    bounds = {"min": low / 100, "max": high / 100, "bits": bits}
    scale, zero = value("quantization-scale", **bounds), value("quantization-zero-point", **bounds)
    assert scale == pytest.approx((high - low) / 100 / (2**bits - 1), rel=1e-12)
    x = round(low / 100 + where / 1000 * (high - low) / 100, 6)
    # half a step at either end may be lost to the rounding of the zero point
    assume(low / 100 + scale < x < high / 100 - scale)
    assume(abs(x / scale - math.floor(x / scale) - 0.5) > 1e-9)
    q = int(np.clip(np.round(x / scale) + zero, 0, 2**bits - 1))
    exact = {"scale": f"{scale:.17g}", "zero_point": zero}
    assert value("quantize", x=x, bits=bits, **exact) == q
    assert value("dequantize", q=q, **exact) == pytest.approx(scale * (q - zero), rel=1e-9, abs=1e-12)
    error = value("quantization-error", x=x, bits=bits, **exact)
    assert error == pytest.approx(abs(scale * (q - zero) - x), abs=1e-9)
    assert error <= value("quantization-max-error", **bounds) * (1 + 1e-9)


@given(st.integers(1, 1000), st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_weight_bytes_pack_bits(params: int, bits: int) -> None:
    packed = np.packbits(np.zeros(params * bits, dtype=np.uint8))
    assert value("weight-bytes", params=params, bits=bits) == packed.nbytes


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 3), st.integers(0, 2))
@settings(deadline=None)
def test_im2col_has_a_row_per_weight_and_a_column_per_position(cin: int, k: int, size: int, s: int, p: int) -> None:
    assume(size + 2 * p >= k)
    image = np.pad(np.zeros((cin, size, size)), ((0, 0), (p, p), (p, p)))
    patches = np.lib.stride_tricks.sliding_window_view(image, (k, k), axis=(1, 2))[:, ::s, ::s]
    assert value("im2col-elements", cin=cin, k=k, in_=size, s=s, p=p) == patches.size


@pytest.mark.parametrize("m, r", [(2, 3), (4, 3), (2, 5)])
def test_winograd_is_the_fewest_multiplications(m: int, r: int) -> None:
    assert value("winograd-multiplications", m=m, r=r) == len(
        {(y, x) for y in range(m + r - 1) for x in range(m + r - 1)}
    )
    direct = sum(1 for _ in itertools.product(range(m), range(m), range(r), range(r)))
    assert value("winograd-reduction", m=m, r=r) == pytest.approx(direct / (m + r - 1) ** 2)


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=6), st.integers(1, 5), st.data())
def test_softmax(logits: list[int], temperature: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(logits) - 1))
    exps = [math.exp(z / temperature) for z in logits]
    answer = calculate(
        "softmax", {"logits": ",".join(map(str, logits)), "temperature": str(temperature), "index": str(index)}
    )
    assert answer.value == pytest.approx(exps[index] / sum(exps), rel=1e-9)


def test_latency_gradient_is_that_of_the_softmax() -> None:
    logits, latencies, step = np.array([1.0, 0.3, -0.5]), np.array([10.0, 5.0, 2.0]), 1e-6

    def expected(z: np.ndarray) -> float:
        e = np.exp(z)
        return float((e / e.sum()) @ latencies)

    p = np.exp(logits) / np.exp(logits).sum()
    for i in range(3):
        moved = logits.copy()
        moved[i] += step
        slope = (expected(moved) - expected(logits)) / step
        found = value("latency-gradient", p=p[i], latency=latencies[i], expected=expected(logits))
        assert found == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize(
    "layers, d, params",  # published sizes of GPT-2
    [(12, 768, 124_439_808), (24, 1024, 354_823_168), (36, 1280, 774_030_080), (48, 1600, 1_557_611_200)],
)
def test_gpt2(layers: int, d: int, params: int) -> None:
    assert value("gpt2-params", vocab=50257, d=d, layers=layers) == params


def test_llama_2_cache() -> None:
    """Half a megabyte per token for 32 layers of 32 heads of 128 in fp16, as published."""
    assert value("kv-cache-token-bytes", layers=32, kv_heads=32, head_dim=128) == 524_288
    assert value("kv-cache-bytes", layers=32, kv_heads=32, head_dim=128, tokens=4096) == 2**31


# ------------------------------------------------------------------ every formula

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?<!,)(?:\.\d+)?(?:e[+-]?\d+)?")
SPACE: Mapping[str, Any] = {
    "F": Fraction,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "abs": abs,
    "min": min,
    "max": max,
    "clip": lambda x, low, high: min(max(x, low), high),
    "log2": lambda x: math.log2(x),
    "log10": lambda x: math.log10(x),
}


def again(text: str) -> Any:
    """A substituted text, calculated by Python itself."""
    expression = text.replace(" x ", " * ").replace("^", "**").replace(" mod ", " % ")
    return eval(NUMBER.sub(lambda n: f"F('{n[0].replace(',', '')}')", expression), {"__builtins__": {}}, dict(SPACE))


@pytest.mark.parametrize("name", FORMULAS)
def test_what_is_shown_is_what_is_calculated(name: str) -> None:
    formula = FORMULAS[name]
    answer = calculate(name, formula.example)
    if isinstance(answer.value, str):
        assert answer.substituted.startswith(answer.value) or "x" in answer.value
    elif isinstance(answer.value, bool):
        assert bool(again(answer.substituted)) is answer.value
    else:
        assert float(again(answer.substituted)) == pytest.approx(float(answer.value), rel=1e-9)
        if isinstance(answer.value, int) and "." not in answer.substituted:
            assert again(answer.substituted) == answer.value
    for step in answer.steps:
        *_, numbers, result = step.split(" = ")
        named = re.search("[a-z]", re.sub(r"floor|ceil|clip|round|log2| x |(?<=\d)e(?=[-+\d])", "", numbers))
        if re.fullmatch(r"[-\d.,e]+", result) and not named:
            assert float(again(numbers)) == pytest.approx(float(again(result)), rel=1e-9), step


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_says_where_it_is_from_and_takes_only_what_it_uses(name: str) -> None:
    formula = FORMULAS[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert formula.about.endswith(".") and all(mistake.endswith(".") for mistake in formula.mistakes)
    assert not formula.source or formula.source.startswith("https://")
    texts = [formula.expression, *(e for _, e in formula.where), *(p.default for p in formula.parameters)]
    used = set(re.findall(r"[a-z_][a-z_0-9]*", " ".join(texts)))
    spread = {formula.spread}
    assert {p.variable for p in formula.parameters} <= used | spread
    assert len({p.name for p in formula.parameters}) == len(formula.parameters)


def test_names_are_unique() -> None:
    assert len(FORMULAS) == len(formulas()) > 150


# ------------------------------------------------------------------ answers


def test_answer_in_full() -> None:
    answer = calculate("conv-macs", {"cin": "64", "cout": "128", "k": "3", "out": "56x56"})
    assert answer.value == 231_211_008 and answer.unit == "MACs"
    assert answer.substituted == "128 x 64 x 3 x 3 x 56 x 56"
    assert answer.formula.startswith("batch x cout x (cin / g) x prod(k) x prod(out)")
    origins = {argument.name: (argument.value, argument.origin) for argument in answer.arguments}
    assert origins["cin"] == ("64", "given") and origins["g"] == ("1", "default") and "s" not in origins
    assert answer.steps == () and answer.source.startswith("https://onnx.ai")
    assert isinstance(answer, Answer)


def test_output_size_is_derived_and_checked() -> None:
    stem = {"cin": "3", "cout": "64", "k": "7", "in": "224", "s": "2", "p": "3"}
    answer = calculate("conv-macs", stem)
    assert answer.value == 118_013_952
    assert answer.steps[0].endswith("= floor((224 + 2 x 3 - (7 - 1) - 1) / 2) + 1 = 112x112")
    assert calculate("conv-macs", {**stem, "out": "112x112"}).value == answer.value
    with pytest.raises(UsageError, match=r"out=111x111 is given, but .* = 112x112"):
        calculate("conv-macs", {**stem, "out": "111"})


def test_single_numbers_count_per_axis_and_say_so() -> None:
    square = calculate("conv-params", {"cin": "1", "cout": "1", "k": "3"})
    assert square.value == 9 and any("rank=1" in note for note in square.notes)
    assert value("conv-params", cin=1, cout=1, k=3, rank=1) == 3
    assert value("conv-params", cin=1, cout=1, k="3x3x3") == 27
    assert value("conv-output-size", in_="224x192", k=7, s=2, p=3) == "112x96"
    with pytest.raises(UsageError, match="k has 2, out has 3"):
        value("conv-macs", cin=1, cout=1, k="3x3", out="5x5x5")


def test_idle_arguments_are_named() -> None:
    answer = calculate("conv-macs", {"cin": "3", "cout": "64", "k": "7", "out": "112", "s": "2"})
    assert any(note == "the result does not depend on s here" for note in answer.notes)


@pytest.mark.parametrize(
    "text, number",
    [
        ("7G", 7 * 10**9),
        ("7B", 7 * 10**9),
        ("1_000", 1000),
        ("16Ki", 16384),
        ("1.5k", 1500),
        ("3.4e6", 3_400_000),
        ("64*256", 16384),
        ("2*(3+4)-1", 13),
        ("7G*0.5", 3_500_000_000),
        ("2**10", 1024),
    ],
)
def test_numbers(text: str, number: int) -> None:
    assert value("flops-from-macs", macs=text) == 2 * number


@pytest.mark.parametrize(
    "text, number", [("512KiB", 524_288), ("14GB", 14 * 10**9), ("2TB/s", 2 * 10**12), ("100", 100), ("0.5MB", 500_000)]
)
def test_bytes(text: str, number: int) -> None:
    assert value("byte-size", size=text) == number


@pytest.mark.parametrize(
    "text, bits", [("int8", 8), ("uint4", 4), ("fp16", 16), ("bfloat16", 16), ("float32", 32), ("nf4", 4), ("4.5", 4.5)]
)
def test_bits(text: str, bits: float) -> None:
    assert value("compression-ratio", to=text) == pytest.approx(32 / bits)


@pytest.mark.parametrize(
    "name, arguments, unit, expected, label",
    [
        ("weight-bytes", {"params": "1Mi", "bits": "8"}, "MiB", 1, "MiB"),
        ("conv-macs", {"cin": "64", "cout": "128", "k": "3", "out": "56"}, "M", 231.211008, "M MACs"),
        ("conv-macs", {"cin": "64", "cout": "128", "k": "3", "out": "56"}, "GMACs", 0.231211008, "G MACs"),
        ("iterated-latency", {"steps": "50", "latency": "20ms"}, "ms", 1000, "ms"),
        ("density", {"sparsity": "0.7"}, "%", 30, "%"),
    ],
)
def test_units(name: str, arguments: dict[str, str], unit: str, expected: float, label: str) -> None:
    answer = calculate(name, {**arguments, "unit": unit})
    assert (answer.value, answer.unit) == (expected, label)
    assert answer.steps[-1].endswith(f" {label}")


def test_versus() -> None:
    answer = calculate("attention-score-macs", {"tokens": "2048", "d": "512", "versus": "tokens=1024"})
    assert (answer.value, answer.unit) == (4, "x")
    assert answer.steps[-1].startswith("with tokens=1024: ")
    stack = calculate("receptive-field", {"k": "3,3", "versus": "k=7,3,s=2,1"})
    assert stack.value == pytest.approx(5 / 11)


def test_exactness() -> None:
    assert value("total", values="0.1,0.2") == 0.3  # not 0.30000000000000004
    assert value("search-space-size", choices=10**6, layers=30) == 10**180
    assert isinstance(value("ratio", a=6, b=3), int) and isinstance(value("ratio", a=7, b=2), float)


def test_words_say_why() -> None:
    ridge = {"ridge": "156"}
    assert calculate("roofline-regime", {"intensity": "4", **ridge}).substituted == "memory-bound, as 4 < 156"
    assert calculate("roofline-regime", {"intensity": "156", **ridge}).substituted == "compute-bound, as 156 >= 156"
    board = {"weights": "2MB", "flash": "1MiB", "activations": "1KiB", "sram": "2KiB"}
    assert calculate("board-fit", board).substituted == "no, as 2,000,000 > 1,048,576"


# ------------------------------------------------------------------ what cannot be calculated


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("conv-mac", {}, "did you mean conv-macs"),
        ("zzz", {}, "effaudit explain --list formulas`"),
        ("conv-macs", {"cinn": "3"}, "did you mean cin?"),
        (
            "kv-cache-bytes",
            {"layers": "32"},
            "missing kv_heads, head_dim, tokens; write, say: effaudit explain kv-cache",
        ),
        ("conv-macs", {"cin": "3", "cout": "4", "k": "3"}, r"missing out \(or in\)"),
        ("roofline-regime", {"intensity": "3"}, r"missing ridge \(or peak, bandwidth\)"),
        ("linear-macs", {"cin": "0", "cout": "1"}, "cin=0 is not possible"),
        ("linear-macs", {"cin": "-3", "cout": "1"}, "not possible"),
        ("linear-macs", {"cin": "2.5", "cout": "1"}, "not possible"),
        ("linear-macs", {"cin": "nan", "cout": "1"}, "not possible"),
        ("linear-macs", {"cin": "inf", "cout": "1"}, "not possible"),
        ("linear-macs", {"cin": "__import__('os')", "cout": "1"}, "not possible"),
        ("linear-macs", {"cin": "1e400", "cout": "1"}, "not possible"),
        ("linear-macs", {"cin": "9" * 100, "cout": "1"}, "not possible"),
        ("linear-macs", {"cin": "(" * 150 + "1", "cout": "1"}, "not an arithmetic expression"),
        ("ratio", {"a": "9**9**9", "b": "1"}, "too large"),
        ("ratio", {"a": "1", "b": "0"}, "division by zero"),
        ("ratio", {"a": "1/0", "b": "1"}, "division by zero"),
        ("share", {"part": "1", "total": "0"}, "not possible"),
        ("search-space-size", {"choices": "7", "layers": "1e9"}, "too large"),
        ("compound-scaling-factor", {"base": "2.5", "phi": "1e9"}, "phi is at most 100"),
        ("softmax", {"logits": "1e30,0", "temperature": "1e-30", "index": "3"}, "no number at index 3"),
        ("conv-macs", {"cin": "3", "cout": "4", "k": "3", "out": "5", "g": "2"}, "groups must divide"),
        ("attention-macs", {"tokens": "5", "d": "100", "heads": "12"}, "head_dim = d / heads = 100 / 12"),
        ("conv-output-size", {"in": "5", "k": "7"}, "must fit"),
        ("conv-macs", {"cin": "3", "cout": "4", "k": "7", "in": "5"}, "out = .* is not possible"),
        ("quantization-scale", {"min": "3", "max": "3"}, "must be above the smallest"),
        ("quantization-levels", {"bits": "4.5"}, "a whole number of bits"),
        ("quantization-levels", {"bits": "9999"}, "a whole number of bits up to 64"),
        ("conv-params", {"cin": "3", "cout": "4", "k": "3", "bias": "maybe"}, "yes or no"),
        ("transformer-block-share", {"part": "x", "tokens": "1", "d": "1"}, "qkv, scores, output, ffn"),
        ("weight-bytes", {"params": "7G", "bits": "8", "unit": "ms"}, "unit=ms does not fit bytes; fitting: bits, B"),
        ("total", {"values": "1"}, None),
        ("total", {"values": ""}, "not possible"),
        ("total", {"values": ",".join(["1"] * 2000)}, "not possible"),
        ("receptive-field", {"k": "3", "layers": "10**9"}, "at most 1000"),
        ("linear-macs", {"cin": "3", "cout": "4", "versus": "cin=0"}, "cin=0 is not possible"),
        ("batchnorm-inference-macs", {"c": "3", "size": "4", "versus": "c=1"}, "division by zero"),
    ],
)
def test_messages(name: str, arguments: dict[str, str], message: str | None) -> None:
    if message is None:
        calculate(name, arguments)
        return
    with pytest.raises(UsageError, match=message) as caught:
        calculate(name, arguments)
    assert "\n" not in str(caught.value)


def test_the_command_in_a_message_runs() -> None:
    """What is missing is listed with a complete command; it must work as it stands."""
    for formula in formulas():
        if all(p.default or p.optional for p in formula.parameters) and not any(p.optional for p in formula.parameters):
            continue
        with pytest.raises(UsageError) as caught:
            calculate(formula.name, {})
        command = str(caught.value).split("effaudit explain ")[1]
        name, *arguments = command.split()
        calculate(name, dict(argument.partition("=")[::2] for argument in arguments))


@given(st.sampled_from(sorted(FORMULAS)), st.data())
@settings(max_examples=300, deadline=None)
def test_any_text_gives_an_answer_or_one_line(name: str, data: st.DataObject) -> None:
    text = st.one_of(
        st.text(max_size=30),
        st.from_regex(r"[0-9().*+/x,eGKi%-]{1,20}", fullmatch=True),
        st.integers(-(10**6), 10**35).map(str),
        st.floats().map(repr),
    )
    arguments = {p.name: data.draw(text) for p in FORMULAS[name].parameters if data.draw(st.booleans())}
    try:
        answer = calculate(name, {**FORMULAS[name].example, **arguments})
    except UsageError as error:
        assert printable(str(error), None) == str(error)
        return
    assert not isinstance(answer.value, float) or math.isfinite(answer.value)
    assert printable(answer.substituted, None) == answer.substituted


def test_untrusted_text_is_spelled_out() -> None:
    with pytest.raises(UsageError) as caught:
        calculate("linear-macs", {"cin": "\x1b[31m", "cout": "1"})
    assert printable(str(caught.value), None) == str(caught.value)
    with pytest.raises(UsageError) as caught:
        calculate("\x1b[31m", {})
    assert printable(str(caught.value), None) == str(caught.value)


# ------------------------------------------------------------------ documentation


def test_page_lists_every_formula() -> None:
    text = page()
    for formula in formulas():
        assert text.count(f"| `{formula.name}` |") == 1 and f"- `{formula.name}`: " in text
    for line in text.splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5, line


def test_find_is_lenient() -> None:
    assert find("Conv_MACs") is find("conv-macs")
