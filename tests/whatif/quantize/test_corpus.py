"""Architectures of the corpus, which hold no weights: what a step predicts is what the audit of the saved structure
finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.save import save_model
from effaudit.weights import BUFFER, OTHER, PARAM, QUANTIZATION
from tests.corpus.score import folder

NAMES = (
    "resnet18.ts.op17",
    "lenet5.ts.op11",
    "mobilenetv3_small_100.ts.op17",
    "swin_tiny_patch4_window7_224.dynamo.op18",
    "gpt2_mini_64.dynamo.op18.dynseq",
    "bert_mini_128.dynamo.op18.dynseq",
    "lstm_bi2.dynamo.op18",
    "einsum_attn.ts.op17",
    "hand_loop5.hand.op17",
    "espcn_x3.ts.op17",
    "rnn_tanh.ts.op17",
    "eca_nfnet_l0.ts.op17",
)
STEPS = ("int8,weights-only", "w4", "int4,per-channel,affine", "fp8", "fp16", "dynamic", "int2,group=16")


def figures(audited: Audited) -> list[object]:
    sizes = [audited.weights.bytes_of(kind) for kind in (PARAM, BUFFER, QUANTIZATION, OTHER)]
    totals = [audited.table.total(cost) for cost in ("macs", "ops", "reads", "writes")]
    return [*sizes, *totals, audited.memory, audited.weights.params, len(audited.graph.nodes)]


@pytest.mark.parametrize("name", NAMES)
def test_the_saved_structure_is_what_was_predicted(name: str, tmp_path: Path) -> None:
    corpus = folder()
    path = corpus / "models" / f"{name}.onnx" if corpus is not None else None
    if path is None or not path.exists():
        pytest.skip("the corpus is not here")
    before = examine(path)
    for i, step in enumerate(STEPS):
        try:
            change, after = whatif.apply(before, whatif.parse("quantize", step))
        except UsageError as error:
            assert "no weight that can be stored otherwise" in str(error), step
            continue
        one, other = after.table.total("macs"), before.table.total("macs")
        assert (one.low, one.high) == (other.low, other.high), step
        assert after.weights.params == before.weights.params
        assert after.weights.bytes_of(PARAM) < before.weights.bytes_of(PARAM)
        save_model(change.graph, tmp_path / f"{i}.onnx", weightless=True)
        assert figures(examine(tmp_path / f"{i}.onnx")) == figures(after), step
        assert change.loss is None or not change.details
