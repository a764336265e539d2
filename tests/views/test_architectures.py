"""The list of published architectures: well formed, and in agreement with graphs counted here."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from math import log
from pathlib import Path

import pytest

from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.views.against import against
from effaudit.views.published.architectures import Architecture, architectures, find, key, nearest

SHARED = Path(__file__).parents[3] / "shared"
MANIFEST = SHARED / "corpus" / "manifest.csv"
FACTS = SHARED / "reference" / "worked_examples.json"
TASKS = {"classification", "detection", "segmentation", "video", "optical-flow", "language", "speech", "tinyml"}


@pytest.mark.parametrize("architecture", architectures(), ids=lambda a: a.name)
def test_row(architecture: Architecture) -> None:
    a = architecture
    assert a.task in TASKS and a.how in ("published", "measured")
    assert a.source.startswith("https://") and " " not in a.source
    assert a.params and a.published_params is not None and a.published_params.counts == "params"
    assert bool(a.macs) == bool(a.counting) and a.counting in ("", "macs", "macs + normalization")
    if a.macs:
        assert a.published_macs is not None and a.published_macs.counts == "compute"
        assert a.published_macs.value > 10_000
    assert not a.input or all(int(size) > 0 for size in a.input.split("x"))
    assert a.top1 is None or 50 < a.top1 < 100
    assert find(a.name) == a


def test_names_are_distinct() -> None:
    names = [key(a.name) for a in architectures()]
    assert len(set(names)) == len(names) > 200
    assert sum(a.task == "classification" and "pytorch/vision" in a.source for a in architectures()) >= 80


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        # torchvision's documentation, the GPT-2 and Llama 2 checkpoints
        ("resnet50", 25_557_032, 4_089_000_000),
        ("alexnet", 61_100_840, 714_000_000),
        ("mobilenet_v2", 3_504_872, 301_000_000),
        ("vit_b_16", 86_567_656, 17_564_000_000),
        ("gpt2", 124_439_808, None),
        ("gpt2_medium", 354_823_168, None),
        ("gpt2_large", 774_030_080, None),
        ("gpt2_xl", 1_557_611_200, None),
        ("llama_2_7b", 6_738_415_616, None),
        ("distilbert_base_uncased", 66_362_880, None),
    ],
)
def test_known_figures(name: str, params: int, macs: int | None) -> None:
    a = find(name)
    assert a.published_params is not None and a.published_params.strict[0].holds(params)
    assert (a.published_macs.value if a.published_macs else None) == macs


def bert(layers: int, width: int, vocabulary: int) -> int:
    """Devlin et al., https://arxiv.org/abs/1810.04805: embeddings, encoder layers, pooler."""
    embeddings = (vocabulary + 512 + 2) * width + 2 * width
    layer = 4 * (width * width + width) + 2 * 4 * width * width + 5 * width + 4 * width
    return embeddings + layers * layer + width * width + width


@pytest.mark.parametrize(
    ("name", "layers", "width", "vocabulary"),
    [("bert_base_uncased", 12, 768, 30_522), ("bert_large_uncased", 24, 1024, 30_522), ("bert_tiny", 2, 128, 30_522)],
)
def test_bert_is_its_formula(name: str, layers: int, width: int, vocabulary: int) -> None:
    assert find(name).params == str(bert(layers, width, vocabulary))


@pytest.mark.parametrize("spelling", ["resnet50", "ResNet-50", "RESNET_50", "resnet 50"])
def test_find(spelling: str) -> None:
    assert find(spelling).name == "resnet50"


def test_punctuation_between_numbers_counts() -> None:
    assert find("RegNet-Y 1.6GF").name == "regnet_y_1_6gf" != find("regnet_y_16gf").name
    assert find("Llama-2-7B") == find("llama2 7b") == find("llama_2_7b")


def test_find_near_misses() -> None:
    with pytest.raises(UsageError, match="did you mean mobilenet_v2"):
        find("mobilenetv22")
    with pytest.raises(UsageError) as caught:
        find("\x1b[31mnothing like it\n" * 50)
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


def test_nearest() -> None:
    found = nearest(25_557_032, 4_089_184_256)
    assert found[0].architecture.name == "resnet50" and len(found) == 3
    assert found[0].distance < 0.001 and found[0].distance <= found[1].distance <= found[2].distance
    twice = nearest(2 * 25_557_032, None, n=300)
    own = next(near for near in twice if near.architecture.name == "resnet50")
    assert own.distance == pytest.approx(log(2))
    assert nearest(6_700_000_000, None, n=1)[0].architecture.name in ("llama_2_7b", "opt_6_7b")
    assert nearest(None, None) == () and nearest(1, 1, n=0) == ()
    assert all(near.architecture.published_macs for near in nearest(None, 10**9, n=300))


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ("alexnet", "alexnet_grouped"),
        ("resnet50", "resnet50"),
        ("mobilenetv2", "mobilenet_v2"),
        ("bert-base", "bert_base_uncased"),
        ("decoder-7b", "llama_2_7b"),
        ("ad", "mlperf_tiny_ad"),
        ("ic", "mlperf_tiny_ic"),
        ("kws", "mlperf_tiny_kws"),
        ("vww", "mlperf_tiny_vww"),
    ],
)
def test_samples_agree(sample: str, name: str) -> None:
    result = against(examine(f"sample:{sample}"), name)
    assert [e.hits[0].name for e in result.figures] == ["params", "macs"][: len(result.figures)]
    assert all(e.hits[0].reading == "rounded" for e in result.figures)


def corpus() -> Iterator[tuple[Architecture, int, int]]:
    """(architecture, parameters, multiply-accumulates) of the corpus' models whose input is the published one."""
    seen = set()
    with MANIFEST.open(newline="") as file:
        for row in csv.DictReader(file):
            name = row["arch"].removeprefix("tv_")
            if row["group"] != "exported" or name in seen:
                continue
            a = next((a for a in architectures() if a.name == name), None)
            shape = json.loads(row["fed_shapes"]).get("x", [])
            if a is not None and a.input == "x".join(map(str, shape[1:])):
                seen.add(name)
                yield a, int(row["params_truth"]), int(row["macs_truth"])


# timm counts a table of tnt's that the module keeps as a buffer
TABLES = {"tnt_s_patch16_224"}


@pytest.mark.skipif(not MANIFEST.exists(), reason="the corpus is not here")
def test_corpus_agrees_within_the_published_digits() -> None:
    compared = 0
    for a, params, macs in corpus():
        compared += 1
        figure = a.published_params
        assert figure is not None
        assert a.name in TABLES or figure.strict[0].holds(params), (a.name, params)
        figure = a.published_macs
        assert figure is not None
        if a.counting == "macs":
            assert figure.strict[0].holds(macs), (a.name, macs)
        else:  # other operations are in it: no less, and few
            assert macs <= figure.strict[0].high and figure.strict[0].low <= 1.10 * macs, (a.name, macs)
    assert compared > 45


@pytest.mark.skipif(not FACTS.exists(), reason="the worked examples are not here")
@pytest.mark.parametrize(
    ("fact", "name", "figure"),
    [
        ("s0-089", "vgg16", "macs"),
        ("s0-108", "resnet50", "macs"),
        ("s0-157", "mobilenet_v2", "params"),
        ("s0-158", "mobilenet_v2", "macs"),
        ("s2-029", "efficientnet_b7", "macs"),
        ("s2-030", "resnet152", "macs"),
        ("s2-036", "efficientnet_b0", "params"),
        ("s2-038", "swin_t", "params"),
        ("s2-039", "convnext_tiny", "params"),
        ("s2-040", "resnet50", "params"),
        ("s2-045", "swin_t", "macs"),
        ("s2-046", "convnext_tiny", "macs"),
        ("s2-047", "resnet50", "macs"),
    ],
)
def test_worked_examples_agree(fact: str, name: str, figure: str) -> None:
    example = next(e for e in json.loads(FACTS.read_text()) if e["id"] == fact)
    value = round(float(example["computed_value"]) * {"M": 10**6, "G": 10**9}[example["unit"][0]])
    a = find(name)
    published = a.published_params if figure == "params" else a.published_macs
    assert published is not None and published.strict[0].holds(value)
