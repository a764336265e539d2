"""The networks that are run on this machine, and the arithmetic of what is said of them."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks.latency_host import agreement, alone, page, prediction, turns
from benchmarks.latency_host.agreement import Pair
from benchmarks.latency_host.alone import Alone
from benchmarks.latency_host.independent import drawn
from benchmarks.latency_host.networks import build, networks
from benchmarks.latency_host.plot import LEFT, SIDE, TOP, scatter
from benchmarks.latency_host.score import Kernel, Score, quantile, read, residuals, summary
from benchmarks.latency_host.weights import filled
from benchmarks.latency_host.wider import hidden, widened
from benchmarks.sketch import Sketch, save
from benchmarks.zoo.layers import FLOAT, Map, conv, conv_norm, result
from effaudit.audited import examine

SMALL = ("lenet5", "conv_autoencoder_32", "mobilenet_v1_0.25_96", "tcn_784", "kws-int8")
SVG = "{http://www.w3.org/2000/svg}"


def _every_value(path: Path) -> dict[str, Any]:
    """All that the network computes on the inputs of the independent script, without optimizations."""
    model = onnx.load(path)
    named = {value.name for value in model.graph.output}
    for node in model.graph.node:
        model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in node.output if n not in named)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {value.name: drawn(value.name, value.type, value.shape) for value in session.get_inputs()}
    return dict(zip((value.name for value in session.get_outputs()), session.run(None, feeds), strict=True))


@pytest.mark.parametrize("name", SMALL)
def test_activations_are_of_normal_magnitude_from_first_layer_to_last(name: str, tmp_path: Path) -> None:
    path = build(networks()[name], tmp_path)
    onnx.checker.check_model(str(path))
    found = {key: v for key, v in _every_value(path).items() if v.dtype == np.float32 and v.size > 1}
    assert found
    for key, value in found.items():
        assert np.isfinite(value).all(), key
        assert 1e-3 < np.sqrt(np.mean(np.square(value, dtype=np.float64))) < 1e4, key
        assert not ((value != 0) & (np.abs(value) < np.finfo(np.float32).tiny)).any(), key


def test_a_file_depends_on_the_name_alone_and_is_written_once(tmp_path: Path) -> None:
    first, second = (build(networks()["lenet5"], tmp_path / folder) for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    other = tmp_path / "other.onnx"
    sketch = networks()["lenet5"].sketch
    assert sketch is not None
    save(filled(sketch(), "another seed"), other)
    assert other.read_bytes() != first.read_bytes()
    first.write_bytes(b"kept")
    assert build(networks()["lenet5"], tmp_path / "a").read_bytes() == b"kept"
    assert [file.name for file in first.parent.iterdir()] == ["lenet5.onnx"]


def test_there_are_networks_of_every_family_each_with_its_source() -> None:
    found = networks()
    assert len(found) >= 36
    assert len({network.family for network in found.values()}) >= 9
    assert all(network.source.startswith(("https://", "http://")) for network in found.values())
    assert {*turns.SAME, *turns.WIDER} <= set(found)
    assert all(found[name].sketch is not None for name in turns.WIDER)


@pytest.mark.parametrize("name", ["alexnet", "yolov8n_640", "swin_tiny", "gpt2_step_512", "deepspeech2_200", "dlrm_1"])
def test_big_networks_have_the_published_size(name: str, tmp_path: Path) -> None:
    """Weights are left out: shapes alone are looked at. Parameters as their sources state them, or by hand."""
    millions = {
        "alexnet": 60.97,  # https://github.com/BVLC/caffe/tree/master/models/bvlc_alexnet
        "yolov8n_640": 3.15,  # https://docs.ultralytics.com/models/yolov8/: 3.2, with what decodes boxes
        "swin_tiny": 28.29,  # https://github.com/microsoft/Swin-Transformer: 28
        "gpt2_step_512": 124.44 - 1023 * 768e-6,  # one position instead of 1024
        "deepspeech2_200": 3 * 800 * 2 * (1312 + 2 * 1600 + 3 * 800 + 6) / 1e6 + 0.288,
        "dlrm_1": 26 * 20_000 * 16e-6 + 0.155 + 0.321,
    }
    sketch = networks()[name].sketch
    assert sketch is not None
    path = tmp_path / "model.onnx"
    save(sketch(), path, external=lambda weight: weight.data is None)
    found = examine(path)
    assert found.table.complete
    assert found.weights.params / 1e6 == pytest.approx(millions[name], rel=0.01)


def _chain() -> Sketch:
    g = Sketch()
    x = Map(g.input("image", FLOAT, [1, 8, 6, 6]), 8, 6, 6)
    x = conv_norm(g, x, 64, 1, "expand")
    x = conv_norm(g, x, 64, 3, "depthwise", group=64)
    x = conv(g, x, 8, 1, "project")
    result(g, x.name, "out", [1, 8, 6, 6])
    return g


def test_hidden_channels_are_widened_by_what_was_asked_for(tmp_path: Path) -> None:
    g = _chain()
    macs = {"Conv": {"expand": 8 * 64 * 36, "depthwise": 9 * 64 * 36, "project": 8 * 64 * 36}}
    each = [
        next((n for key, n in macs["Conv"].items() if key in node.name and node.op_type == "Conv"), 0)
        for node in g.nodes
    ]
    (one,) = hidden(g, each)
    assert (one.channels, one.macs * 64, len(one.between)) == (64, sum(each), 5)
    made = widened(g, each, 0.25)
    assert [made.weights[f"{at}.conv.weight"].dims[0] for at in ("expand", "depthwise")] == [80, 80]
    assert made.weights["project.weight"].dims == (8, 80, 1, 1)
    save(filled(made, "wide"), tmp_path / "wide.onnx")
    assert _every_value(tmp_path / "wide.onnx")["out"].shape == (1, 8, 6, 6)
    assert examine(tmp_path / "wide.onnx").table.low.macs == 1.25 * sum(each)
    assert g.weights["project.weight"].dims == (8, 64, 1, 1)
    with pytest.raises(ValueError, match="too few"):
        widened(g, each, 0.6)


def test_channels_that_others_read_are_no_hidden_ones() -> None:
    g = Sketch()
    x = conv(g, Map(g.input("image", FLOAT, [1, 8, 6, 6]), 8, 6, 6), 32, 1, "first")
    y = conv(g, x, 32, 1, "second")
    result(g, g.node("Add", [x.name, y.name], "/sum"), "out", [1, 32, 6, 6])
    assert hidden(g, [1] * len(g.nodes)) == []


# ---- scores
SCORE = Score("net", "family", 1, 10**6, 0.010, 0.01, 0.011, 0.009, 0.012, 0.99, 1.0, "")


def _scores(errors: Sequence[float]) -> list[Score]:
    return [replace(SCORE, name=f"net{i}", predicted_s=0.010 * (1 + error)) for i, error in enumerate(errors)]


def test_quantiles_are_those_of_numpy() -> None:
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 10, 37):
        values = rng.standard_normal(n)
        for part in (0.0, 0.1, 0.5, 0.9, 1.0):
            assert quantile(values, part) == pytest.approx(np.quantile(values, part))
    assert math.isnan(quantile((), 0.5))


def test_a_summary_is_of_the_absolute_errors_of_what_is_predicted() -> None:
    errors = [-0.30, -0.08, 0.02, 0.04, 0.06]
    found = summary([*_scores(errors), replace(SCORE, predicted_s=None)])
    assert found.count == 5
    assert found.median == pytest.approx(0.06)
    assert found.tenth == pytest.approx(np.quantile(np.abs(errors), 0.9))
    assert found.bias == pytest.approx(1.02)
    assert found.inside == 1.0  # of the measured time in the interval, whatever is predicted
    assert found.met
    assert not summary(_scores([0.3, 0.3, 0.0, 0.0, 0.0, 0.0])).met
    assert not summary(_scores([0.11, 0.11, 0.11])).met
    nothing = summary([])
    assert nothing.count == 0 and not nothing.met and nothing.inside is None


def test_residuals_weigh_an_operator_by_its_part_of_a_network() -> None:
    first = replace(SCORE, kernels=(Kernel("Conv", 8.0, 10.0), Kernel("Add", 1.0, 1.5), Kernel("Add", 1.0, None)))
    second = replace(SCORE, kernels=(Kernel("Conv", 2.0, 2.0), Kernel("Loop", 2.0, None)))
    conv_row, add = residuals([first, second])
    assert (conv_row.op, conv_row.networks, conv_row.kernels, conv_row.unpredicted) == ("Conv", 2, 2, 0)
    assert (conv_row.share, conv_row.ratio, conv_row.off) == pytest.approx((0.65, 1.125, 0.1))
    assert (add.op, add.kernels, add.unpredicted, add.ratio) == ("Add", 2, 1, 1.5)


DOCUMENT: dict[str, Any] = {
    "models": [
        {
            "threads": 2,
            "macs": 5,
            "runs": {"p50_s": 0.002, "noise_ratio": None},
            "predicted_s": 0.0015,
            "attribution": {"attributed_ratio": 0.97, "consistent_ratio": None},
            "prediction": {
                "total": {"value": 0.0015, "low": 0.001, "high": 0.0018},
                "worst": [{"op": "LRN", "kernel": "norm1", "seconds": 0.001, "predicted_s": 0.0004}],
            },
            "kernels": [{"op": "LRN", "seconds": 0.001, "predicted_s": 0.0004}],
        }
    ]
}


def test_a_document_is_read() -> None:
    score = read("alexnet", "large CNN", DOCUMENT)
    assert score.error == pytest.approx(-0.25)
    assert score.inside is False
    assert (score.threads, score.attributed, score.consistent) == (2, 0.97, None)
    assert score.worst == "LRN norm1: 0.4 for 1 ms"
    bare = {**DOCUMENT["models"][0], "prediction": None, "attribution": None, "predicted_s": None, "kernels": []}
    score = read("alexnet", "large CNN", {"models": [bare]})
    assert score.error is None and score.inside is None and score.attributed is None


def test_the_section_states_every_figure_beside_its_goal(tmp_path: Path) -> None:
    lone = replace(SCORE, name="lone", kernels=(Kernel("Loop", 1.0, None),), predicted_s=None, threads=2)
    scores = [lone, *_scores([0.05, -0.2, 0.4]), *(replace(s, threads=2) for s in _scores([0.01, 0.02, -0.03]))]
    measured = prediction.Measured(tuple(scores), (("broken, 1", "exit code 2: no"),), 42.4)
    text = "\n".join(prediction.section(measured, tmp_path / "images", tmp_path / "page.md"))
    assert "| 1 | 3 | 20.0% | ≤ 10% | 36.0% | ≤ 25% | 1.050 | 100% | **missed** |" in text
    assert "| 2 | 3 | 2.0% | ≤ 10% | 2.8% | ≤ 25% | 1.010 | 100% | met |" in text
    assert "took 42 s" in text and "- broken, 1 threads: exit code 2: no" in text
    assert "Not predicted anywhere: Loop (1 kernel)." in text
    assert "(images/prediction-1-thread.svg)" in text
    assert sorted(file.name for file in (tmp_path / "images").iterdir()) == [
        "prediction-1-thread.svg",
        "prediction-2-threads.svg",
    ]


# ---- plot
def test_the_plot_is_well_formed_and_puts_equal_times_on_the_line() -> None:
    names = ("even<&>", "long", "unknown")
    scores = [
        replace(SCORE, name=names[0], measured_s=0.02, predicted_s=0.02),
        replace(SCORE, name=names[1], family="other & more", measured_s=2e-5, predicted_s=0.3),
        replace(SCORE, name=names[2], predicted_s=None),
    ]
    root = ET.fromstring(scatter(scores, "Title <1>"))
    points = {
        dot.findtext(f"{SVG}title"): dot for dot in root.iter(f"{SVG}circle") if dot.find(f"{SVG}title") is not None
    }
    assert len(points) == 2
    for said, dot in points.items():
        x, y = float(dot.get("cx", "")) - LEFT, TOP + SIDE - float(dot.get("cy", ""))
        assert said is not None and 0 <= x <= SIDE and 0 <= y <= SIDE
        assert (x == pytest.approx(y, abs=0.02)) == said.startswith("even<&>")
    assert "prefers-color-scheme:dark" in (root.findtext(f"{SVG}style") or "")
    assert len(root.findall(f"{SVG}polygon")) == 2
    with pytest.raises(ValueError, match="no prediction"):
        scatter([scores[2]], "")


# ---- medians, verdicts, page
def test_medians_are_held_against_the_script_where_each_agrees_with_itself() -> None:
    drifted = Pair("drifted", 1, (1.0, 1.44), (1.2, 1.2), 3)
    assert drifted.difference == pytest.approx(0.0) and drifted.drift == pytest.approx(0.44)
    assert Pair("drifted", 1, (1.0, 1.0), (1.0, 0.5)).drift == -0.5
    pairs = [drifted, Pair("far", 1, (1.0, 1.0), (0.9, 0.9)), Pair("near", 2, (1.0, 1.0), (1.01, 1.01))]
    text = "\n".join(agreement.section(pairs, ()))
    assert "| 1 | 2 | 5.6% | 10.0% | 11.1% | 1 | 0 of 1 | **missed** |" in text
    assert "| 2 | 1 | 1.0% | 1.0% | 1.0% | 1 | 1 of 1 | met |" in text
    assert text.index("| far |") < text.index("| near |")


def test_verdicts_are_counted() -> None:
    trial = turns.Trial("net", 1, 1.0, "no difference", "no difference", 1.0, 0.99, 1.01, 50)
    wide = replace(trial, macs=1.1, wanted="slower", verdict="no difference", low=None)
    text = "\n".join(turns.section([trial, trial, wide], [("broken, 2", "why")]))
    assert "| against itself | 2 | 2 | met |" in text
    assert "| against a copy with a tenth more MACs | 0 | 1 | **missed** |" in text
    assert "not known" in text and "- broken, 2 threads: not measured: why" in text


def test_a_section_takes_the_place_of_the_one_before() -> None:
    host = {
        "processor": "P",
        "architecture": "x",
        "cores": 2,
        "caches": {"L1d": 32768},
        "memory_bytes": None,
        "system": "Linux",
        "onnxruntime": "1",
        "python": "3",
    }
    first = {title: page.section(title, "command", host, [f"of {title}"]) for title in ("One", "Two")}
    text = page.joined("", first)
    assert text.startswith(page.TITLE) and "P, 2 cores, L1d 32 KiB, Linux, ONNX Runtime 1, Python 3;" in text
    again = page.joined(text, {"One": page.section("One", "another", host, ["### Below", "new"])})
    assert again.index("## One") < again.index("## Two")
    assert "of One" not in again and "### Below" in again and "of Two" in again
    assert page.joined(again, {}) == again


def test_estimates_from_the_file_alone_stand_beside_those_of_the_saved_graph() -> None:
    score = read("alexnet", "large CNN", DOCUMENT)
    assert score.predicted_s is not None
    near, far = Alone(score, score.predicted_s * 1.01), Alone(replace(score, name="vgg16"), score.predicted_s * 1.5)
    text = list(alone.section([near, far, Alone(replace(score, name="lenet5"), None)]))
    (row,) = (line for line in text if line.startswith("| 2 |"))
    errors = sorted(abs(one.alone_s / score.measured_s - 1) for one in (near, far) if one.alone_s)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["2", "2", f"{quantile(errors, 0.5):.1%}"]
    assert cells[-2:] == ["25.50%", "50.0%"]
    assert [line for line in text if line.startswith("- ")] == [
        "- vgg16, 2 threads: +50.0%",
        "- lenet5, 2 threads: no estimate",
    ]
