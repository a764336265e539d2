"""Published figures: the digits as intervals, the counts against graphs built another way, subsets by brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.graph import Node
from effaudit.views.against import Against, Candidate, against
from effaudit.views.published.conventions import conventions
from effaudit.views.published.figure import parse
from effaudit.views.published.parts import Part, parts
from effaudit.views.published.subsets import CHANCE, WINDOW, Search, searches
from tests.examples.graphs import Net

FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


# ---- the digits
@given(st.integers(0, 10**6), st.integers(0, 6), st.sampled_from(sorted(FACTORS)), st.integers(-3, 3))
def test_digits_are_the_precision(mantissa: int, decimals: int, suffix: str, beside: int) -> None:
    """A whole number is in the interval just where it is no further than half of the last digit away."""
    digits = f"{mantissa:0{decimals + 1}d}"
    text = f"{digits[:-decimals]}.{digits[-decimals:]}{suffix}" if decimals else f"{digits}{suffix}"
    step = Fraction(FACTORS[suffix], 10**decimals)
    value = mantissa * step
    try:
        strict = parse(text).strict[0]
    except UsageError:
        assert -((step / 2 - value) // 1) > (value + step / 2) // 1 or not decimals  # no whole number in between
        return
    for edge in (value - step / 2, value, value + step / 2):
        number = int(edge) + beside
        assert strict.holds(number) == (abs(number - value) <= step / 2)


@given(st.integers(1, 10**13), st.integers(1, 6))
def test_a_rounded_number_is_in_its_own_interval(value: int, digits: int) -> None:
    scales = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"), (1, ""))
    factor, suffix = next((factor, suffix) for factor, suffix in scales if value >= factor)
    shown = f"{Decimal(value) / factor:.{digits if factor > 1 else 0}f}{suffix}"
    assert parse(shown).strict[0].holds(value)


@pytest.mark.parametrize(
    ("text", "low", "high", "counts", "flops"),
    [
        ("3.8G", 3_750_000_000, 3_850_000_000, "", False),
        ("4.1 GFLOPs", 4_050_000_000, 4_150_000_000, "compute", True),
        ("300 MMACs", 299_500_000, 300_500_000, "compute", False),
        ("0.3 GMult-Adds", 250_000_000, 350_000_000, "compute", False),
        ("25.557032M", 25_557_032, 25_557_032, "", False),
        ("61 million parameters", 60_500_000, 61_500_000, "params", False),
        ("7B", 6_500_000_000, 7_500_000_000, "", False),
        ("1.1e9", 1_050_000_000, 1_150_000_000, "", False),
        ("724,406,816 MACs", 724_406_816, 724_406_816, "compute", False),
        ("98MB", 97_500_000, 98_500_000, "bytes", False),
        ("16.8 GiB", 17_985_175_552, 18_092_549_734, "bytes", False),
        ("512 bytes", 512, 512, "bytes", False),
    ],
)
def test_units(text: str, low: int, high: int, counts: str, flops: bool) -> None:
    figure = parse(text)
    assert (figure.strict[0].low, figure.strict[0].high, figure.counts, figure.flops) == (low, high, counts, flops)


def test_megabytes_may_be_mebibytes() -> None:
    assert [(r.low, r.high) for r in parse("98MB").strict] == [
        (97_500_000, 98_500_000),
        (97 * 2**20 + 2**19, 98 * 2**20 + 2**19),
    ]
    assert len(parse("98MiB").strict) == 1


@pytest.mark.parametrize(
    "text", ["", "-3M", "3.8", "3.8X", "1..2M", "M", "3.8G\x1b[31m", "1" * 500, "3e999M", "1,23M", "5M activations"]
)
def test_what_is_no_figure(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    message = str(caught.value)
    assert "\n" not in message and "\x1b" not in message and len(message) < 300


# ---- the shipped samples
@pytest.fixture(scope="module")
def sample() -> Callable[[str], Audited]:
    opened: dict[str, Audited] = {}

    def open_(name: str) -> Audited:
        return opened.setdefault(name, examine(f"sample:{name}"))

    return open_


def best(result: Against) -> Candidate:
    (explanation,) = result.figures
    return explanation.hits[0]


@pytest.mark.parametrize(
    ("name", "text", "hit", "value"),
    [
        ("alexnet", "724M", "macs", 724_406_816),
        ("alexnet", "61M", "params", 60_965_224),
        ("alexnet", "60954656", "weights alone", 60_954_656),
        ("alexnet", "1.135G", "groups ignored", 1_135_256_096),
        ("alexnet", "0.666 GMACs", "convolutions alone", 665_784_864),
        ("resnet50", "4.089G", "macs", 4_089_184_256),
        ("resnet50", "8.18G", "2 x macs", 8_178_368_512),
        ("resnet50", "25.6M", "params", 25_557_032),
        ("resnet50", "25.557032M", "params", 25_557_032),
        ("resnet50", "97.5MB", "params as fp32", 102_228_128),
        ("resnet50", "98MB", "params + buffers as fp32", 102_440_608),
        ("resnet50", "102MB", "params as fp32", 102_228_128),
        ("resnet50", "11.1M", "activations of products", 11_114_984),  # 53 convolutions, 1,000 logits
        ("resnet50", "3.73G", "without shortcut projections", 3_729_522_688),
        # ptflops' README: resnet50 4.12 GMac; fvcore and timm: 4.11
        ("resnet50", "4.12G", "macs + biases + 2 x normalization + activations + pooling", 4_121_925_096),
        ("resnet50", "4.11G", "macs + 2 x normalization", 4_111_412_224),
        ("mobilenetv2", "301M", "macs", 300_774_272),
        ("mobilenetv2", "300M", "macs", 300_774_272),
        ("mobilenetv2", "314M", "macs + 2 x normalization", 314_130_496),
        ("mobilenetv2", "3.5M", "params", 3_504_872),
        ("mobilenetv2", "14MB", "params as fp32", 14_019_488),
        ("bert-base", "109482240", "params", 109_482_240),
        ("bert-base", "110M", "params", 109_482_240),
        ("bert-base", "86M params", "without embeddings", 85_646_592),
        ("decoder-7b", "13.5GB", "params as fp16", 13_476_831_232),
    ],
)
def test_samples(sample: Callable[[str], Audited], name: str, text: str, hit: str, value: int) -> None:
    result = against(sample(name), text)
    assert result.reproduced
    assert (best(result).name, best(result).value) == (hit, value)


def test_no_subset_of_alexnet_gives_723_4(sample: Callable[[str], Audited]) -> None:
    result = against(sample("alexnet"), "723.4M")
    (explanation,) = result.figures
    assert not result.reproduced and not explanation.hits
    assert [row.macs for row in result.rows] == [
        105_415_200,
        223_948_800,
        149_520_384,
        112_140_288,
        74_760_192,
        37_748_736,
        16_777_216,
        4_096_000,
    ]
    assert sum(row.share for row in result.rows) == pytest.approx(1)
    weights = [row.macs for row in result.rows]
    sums = [sum(chosen) for k in range(9) for chosen in combinations(weights, k)]
    assert len(sums) == 256
    assert not any(723_350_000 <= value <= 723_450_000 for value in sums)
    search = explanation.searches[-1]
    assert search.what == "macs: all 256 subsets of the 8 nodes that have macs"
    assert (search.tried, search.hits, search.accepted) == (256, 0, False)
    assert explanation.nearest[0].name == "macs"
    assert explanation.nearest[0].difference == 724_406_816 - 723_400_000


def test_3_8_giga_is_another_resnet(sample: Callable[[str], Audited]) -> None:
    """He et al.'s 3.8e9 is the network with the strides in the 1x1 convolutions: 3,857,973,248, digits cut off."""
    result = against(sample("resnet50"), "3.8G")
    (explanation,) = result.figures
    assert not result.reproduced
    assert [(hit.group, hit.value, hit.reading) for hit in explanation.hits] == [("variant", 3_857_973_248, "cut off")]
    assert any(search.hits for search in explanation.searches)  # subsets that prove nothing
    assert all(search.expected_so_far > CHANCE for search in explanation.searches if search.hits)
    assert best(against(sample("resnet50"), "3.86G")).group == "variant"


def test_rows_in_and_out(sample: Callable[[str], Audited]) -> None:
    hit = best(against(sample("resnet50"), "3.73G"))
    assert hit.left_out == tuple(f"layer{i}/0/downsample/0/Conv" for i in (1, 2, 3, 4))
    assert hit.kept == 50  # of 53 convolutions and the classifier
    assert hit.share == pytest.approx(hit.value / 3_730_000_000 - 1)


def test_an_architecture_is_its_figures(sample: Callable[[str], Audited]) -> None:
    result = against(sample("resnet50"), "ResNet-50")
    assert result.architecture is not None and result.architecture.name == "resnet50"
    assert result.reproduced
    assert [e.hits[0].name for e in result.figures] == ["params", "macs"]
    assert not against(sample("alexnet"), "alexnet").reproduced  # the list's is the ungrouped network
    with pytest.raises(UsageError, match="did you mean resnet50"):
        against(sample("resnet50"), "resnet5O")


def test_bounds_are_said(sample: Callable[[str], Audited]) -> None:
    result = against(sample("control-flow"), "807552")
    (explanation,) = result.figures
    assert explanation.hits[0].name == "macs, at least"
    assert any("not exact" in note for note in explanation.note)
    assert best(against(sample("control-flow"), "836224")).name == "macs, at most"
    missed = against(sample("control-flow"), "555.5k").figures[0]
    assert any("only where the macs are exact" in note for note in missed.note)
    assert not any(search.what.startswith("macs") for search in missed.searches)


def test_assumed_dims_are_said(sample: Callable[[str], Audited]) -> None:
    (explanation,) = against(sample("bert-base"), "22.5 GFLOPs").figures
    assert not explanation.reproduced
    assert explanation.nearest[0].name == "flops"
    assert "dims assumed: batch=1, sequence=128" in explanation.note


# ---- conventions against networks that really are so
def audit(net: Net, folder: Path, name: str = "net") -> Audited:
    path = folder / f"{name}.onnx"
    path.write_bytes(net.model().SerializeToString())
    return examine(path)


def counted(audited: Audited, name: str) -> int:
    return next(count.value for count in conventions(parts(audited)) if count.name == name)


def macs(audited: Audited) -> int:
    value = audited.table.total("macs").value
    assert value is not None
    return value


def bottleneck(*, early: bool, bias: bool = False, norm: bool = True) -> Net:
    """A residual block with a projection, its stride in the 1x1 (`early`) or the 3x3 convolution."""
    net = Net()
    normalize = net.batch_norm if norm else lambda y: y
    x = net.relu(net.conv(net.input(2, 3, 32, 32), 16, 3, bias=bias))
    y = net.relu(normalize(net.conv(x, 8, 1, 2 if early else 1, 0, bias=bias)))
    y = net.relu(normalize(net.conv(y, 8, 3, 1 if early else 2, 1, bias=bias)))
    y = normalize(net.conv(y, 32, 1, bias=bias))
    shortcut = normalize(net.conv(x, 32, 1, 2, 0, bias=bias))
    z = net.node("Add", [y, shortcut], net.shape[y])
    net.linear(net.global_pool(net.relu(z)), 10)
    return net


def test_strides_in_the_1x1(tmp_path: Path) -> None:
    late, early = audit(bottleneck(early=False), tmp_path, "late"), audit(bottleneck(early=True), tmp_path, "early")
    assert counted(late, "strides in the 1x1 convolutions") == macs(early) < macs(late)
    with pytest.raises(StopIteration):
        counted(early, "strides in the 1x1 convolutions")


def test_shortcut_projections_and_samples(tmp_path: Path) -> None:
    model = audit(bottleneck(early=False), tmp_path)
    projection = 2 * 32 * 16 * 16 * 16
    assert counted(model, "without shortcut projections") == macs(model) - projection
    fc = 2 * 32 * 10
    assert counted(model, "convolutions alone, without shortcut projections") == macs(model) - projection - fc
    assert counted(model, "without the classifier") == macs(model) - fc
    assert counted(model, "one sample") * 2 == macs(model)


def test_norms_and_biases(tmp_path: Path) -> None:
    plain, biased = (
        audit(bottleneck(early=False), tmp_path, "a"),
        audit(bottleneck(early=False, bias=True), tmp_path, "b"),
    )
    positions = 2 * (8 * 32 * 32 + 8 * 16 * 16 + 32 * 16 * 16 + 32 * 16 * 16)
    assert counted(plain, "macs + normalization") == macs(plain) + positions
    assert counted(plain, "macs + 2 x normalization") == macs(plain) + 2 * positions
    assert counted(biased, "macs + biases") == macs(biased) + positions + 2 * 16 * 32 * 32
    every = counted(plain, "macs + biases + 2 x normalization + activations + pooling")
    relus = 2 * (16 * 32 * 32 + 8 * 32 * 32 + 8 * 16 * 16 + 32 * 16 * 16)
    assert every == macs(plain) + 2 * positions + relus + 2 * 32 * 16 * 16


def test_no_convention_over_a_size_that_is_not_known(tmp_path: Path) -> None:
    """The rows that are not zero are data: nothing that adds their norm or pooling is a count of this model."""
    net = Net()
    x = net.input(1, 3, 8, 8)
    y = net.relu(net.conv(x, 4, 3, bias=True))
    places = net.node("Cast", [net.node("NonZero", [y], ())], (), to=1)
    rows = net.node("Transpose", [places], (9, 4), perm=[1, 0])
    normal = net.layer_norm(rows)
    path = tmp_path / "net.onnx"
    path.write_bytes(net.model(y, normal).SerializeToString())
    model = examine(path)
    named = {count.name for count in conventions(parts(model))}
    assert macs(model) == 4 * 3 * 9 * 64
    assert counted(model, "macs + biases") == macs(model) + 4 * 64
    assert not any(name.startswith("macs +") and "normalization" in name for name in named)


def test_norms_unfolded(tmp_path: Path) -> None:
    """Folding a norm into a convolution without a bias leaves one bias where there were a scale and a shift."""

    def net(folded: bool) -> Net:
        made = Net()
        y = made.conv(made.input(1, 3, 8, 8), 16, 3, bias=folded)
        made.linear(made.global_pool(y if folded else made.batch_norm(y)), 10)
        return made

    folded, whole = audit(net(True), tmp_path, "folded"), audit(net(False), tmp_path, "whole")
    assert counted(folded, "norms unfolded") == whole.weights.params == folded.weights.params + 16


def test_groups_ignored(tmp_path: Path) -> None:
    def net(groups: int) -> Net:
        made = Net()
        made.conv(made.conv(made.input(1, 8, 16, 16), 24, 3, g=groups), 24, 3, g=groups * 2)
        return made

    grouped, whole = audit(net(4), tmp_path, "grouped"), Net()
    whole.conv(whole.conv(whole.input(1, 8, 16, 16), 24, 3), 24, 3)
    assert counted(grouped, "groups ignored") == macs(audit(whole, tmp_path, "whole"))


def test_transposed_by_outputs(tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 6, 5, 5)
    net.node("ConvTranspose", [x, net.weight(6, 4, 3, 3)], (1, 4, 11, 11), strides=[2, 2])
    model = audit(net, tmp_path)
    assert macs(model) == 6 * 25 * 4 * 9
    assert counted(model, "transposed convolutions by outputs") == 4 * 11 * 11 * 6 * 9


def test_attention_left_out_and_halved(tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 7, 16)
    q, k, v = (net.linear(x, 16) for _ in range(3))
    scores = net.matmul(q, net.node("Transpose", [k], (1, 16, 7), perm=[0, 2, 1]))
    net.linear(net.matmul(net.node("Softmax", [scores], (1, 7, 7)), v), 16)
    model = audit(net, tmp_path)
    products, projections = 2 * 7 * 7 * 16, 4 * 7 * 16 * 16
    assert macs(model) == products + projections
    assert counted(model, "without attention products") == projections
    assert counted(model, "attention products alone") == products
    assert counted(model, "attention halved") == projections + products // 2


# ---- subsets against brute force
def rows(weights: list[int]) -> tuple[Part, ...]:
    ops = ("Conv", "MatMul", "Gemm")
    return tuple(
        Part(Node(f"s{i % 3}/t{i % 2}/n{i}", "", ops[i % 3], (), (f"y{i}",), {}), f"k{i % 4}", w, 0, 0, 1)
        for i, w in enumerate(weights)
    )


def distinct_sums(weights: list[int]) -> list[int]:
    """One sum for each choice of how many of the rows of each weight are kept."""
    classes = list(Counter(weights).items())
    sums = [0]
    for weight, count in classes:
        sums = [base + weight * k for base in sums for k in range(count + 1)]
    return sums


def run(weights: list[int], text: str, spent: float = 0.0) -> tuple[list[Search], list[int], list[tuple[Part, ...]]]:
    found, hits = searches(rows(weights), lambda row: row.macs, "macs", parse(text).strict[0], spent)
    return found, [hit.value for hit in hits], [hit.left_out for hit in hits]


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=11), st.integers(1, 400), st.sampled_from(["", "k"]))
def test_every_subset_is_tried(weights: list[int], number: int, suffix: str) -> None:
    scale = 1000 if suffix else 1
    weights = [w * scale + w % 7 for w in weights]
    reading = parse(f"{number}{suffix}").strict[0]
    found, _, _ = run(weights, f"{number}{suffix}")
    if reading.low > sum(weights):
        assert not found
        return
    last, sums = found[-1], distinct_sums(weights)
    margin = (reading.low + reading.high) // (2 * WINDOW)
    low, high = reading.low - margin, reading.high + margin
    assert last.tried == len(sums)
    assert last.hits == sum(reading.low <= s <= reading.high for s in sums)
    near = sum(low <= s <= high for s in sums)
    assert last.expected == pytest.approx(near * (reading.high - reading.low + 1) / (high - low + 1))
    assert last.expected_so_far == pytest.approx(sum(search.expected for search in found))


@settings(deadline=None)
@given(st.lists(st.integers(10**9, 10**10), min_size=3, max_size=16, unique=True), st.data())
def test_a_subset_left_out_is_found(weights: list[int], data: st.DataObject) -> None:
    """An exact figure of large rows: sums are so sparse that a hit is no chance."""
    out = data.draw(st.sets(st.integers(0, len(weights) - 1), min_size=1, max_size=len(weights) - 1))
    wanted = sum(w for i, w in enumerate(weights) if i not in out)
    _, values, left = run(weights, str(wanted))
    assert wanted in values
    every = rows(weights)
    for value, dropped in zip(values, left, strict=True):
        assert sum(row.macs for row in every) - sum(row.macs for row in dropped) == value == wanted
    assert {every[i].node.name for i in out} in [{row.node.name for row in dropped} for dropped in left]


def test_chance_hits_prove_nothing() -> None:
    """Two digits of a sum of 16 random rows: hundreds of subsets give it, and none is shown."""
    weights = [(7919 * i * i + 104_729 * i) % 900_001 + 100_000 for i in range(1, 17)]
    total = sum(weights)
    found, values, _ = run(weights, f"{total * 0.6 / 1e6:.1f}M")
    assert found[-1].hits > 100 and found[-1].expected > 1
    assert not found[-1].accepted and not any(search.accepted for search in found) and not values


def test_chance_of_earlier_searches_counts() -> None:
    weights = [10**9 + 17 * 10**6 * i * i for i in range(8)]
    wanted = str(sum(weights) - weights[2] - weights[5])
    assert run(weights, wanted)[1]
    assert not run(weights, wanted, spent=CHANCE)[1]


def test_the_expectation_is_that_of_chance() -> None:
    """Over all places of the interval in a window, hits average what `expected` says (edges aside)."""
    weights = [(7919 * i * i + 104_729 * i) % 9_001 + 1_000 for i in range(1, 13)]
    sums = distinct_sums(weights)
    middle, width = sum(weights) // 2, 101
    low, high = middle - middle // WINDOW, middle + middle // WINDOW
    starts = range(low, high - width + 2)
    mean = sum(sum(start <= s < start + width for s in sums) for start in starts[::50]) / len(starts[::50])
    near = sum(low <= s <= high for s in sums)
    assert mean == pytest.approx(near * width / (high - low + 1), rel=0.1)


def test_too_many_subsets_are_said() -> None:
    weights = [10**6 + 3**i for i in range(40)]
    found, _, _ = run(weights, str(weights[0] + weights[1]))
    assert found[-1].what.endswith("too many, none tried") and found[-1].tried == 0
    many, _, _ = run([7] * 5_000, str(7 * 1_234))  # equal rows: few different sums
    assert (many[-1].tried, many[-1].hits) == (5_001, 1)


def test_first_and_last_scopes() -> None:
    """Ten scopes: the sum of the first four, and that of the last three."""
    weights = [10**9 + 37 * 10**6 * i * i for i in range(40)]
    made = tuple(
        Part(Node(f"/b{i // 4}/n{i}/Conv", "", "Conv", (), (f"y{i}",), {}), "conv", w, 0, 0, 1)
        for i, w in enumerate(weights)
    )
    for kept in (made[:16], made[28:]):
        reading = parse(str(sum(row.macs for row in kept))).strict[0]
        found, hits = searches(made, lambda row: row.macs, "macs", reading, 0.0)
        assert found[0].what == "macs of the 10 scopes at depth 1: one left out, the first and the last ones"
        assert {id(row) for row in made} - {id(row) for row in hits[0].left_out} == {id(row) for row in kept}
