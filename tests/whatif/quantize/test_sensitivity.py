"""What each node's quantization does, against onnxruntime quantizing that node alone; ranges against the tensors."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import quantize_static

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.run import TensorRange
from effaudit.whatif.quantize import sensitivity, spans
from effaudit.whatif.quantize.grid import decode, encode, grid, scales
from effaudit.whatif.quantize.types import Rule
from tests.whatif.quantize.nets import without_weights
from tests.whatif.quantize.static_nets import perceptron, resnet
from tests.whatif.quantize.test_static import Reader, feeds
from tests.whatif.running import run


def given(folder: Path, made: onnx.ModelProto, name: str) -> Audited:
    onnx.save(made, folder / "given.onnx")
    np.savez(folder / "0.npz", **dict(feeds(name)[0]))  # type: ignore[arg-type]
    return examine(folder / "given.onnx")


def asked(audited: Audited, step: str) -> tuple[sensitivity.Harm, ...]:
    return sensitivity.sensitivity(audited, whatif.parse("quantize", step).arguments)


def noise(folder: Path, feed: dict[str, np.ndarray]) -> float:
    """The share of noise in the outputs of onnxruntime's file."""
    wanted, found = run(folder / "given.onnx", feed)[0], run(folder / "theirs.onnx", feed)[0]
    return float(np.square(wanted - found, dtype=np.float64).sum() / np.square(wanted, dtype=np.float64).sum())


FOLLOWING = {"conv1": ["relu1"], "conv2": ["relu2"], "add": ["relu3", "pool"], "conv4": ["relu4"], "gap": ["reshape"]}


def test_harm_is_that_of_onnxruntime_on_one_node(tmp_path: Path) -> None:
    audited = given(tmp_path, resnet(), "resnet")
    found = asked(audited, f"int8,calibrate={tmp_path}")
    assert {harm.label for harm in found} == {
        "conv1", "conv2", "conv3", "shortcut", "add", "conv4", "gap", "head", "softmax"
    }  # fmt: skip
    assert [harm.noise for harm in found] == sorted((harm.noise for harm in found), reverse=True)
    logging.disable(logging.WARNING)
    for harm in found:
        only = [harm.label, *FOLLOWING.get(harm.label, ())]
        quantize_static(
            tmp_path / "given.onnx", tmp_path / "theirs.onnx", Reader(feeds("resnet")),
            per_channel=True, nodes_to_quantize=only,
        )  # fmt: skip
        assert harm.noise == pytest.approx(noise(tmp_path, dict(feeds("resnet")[0])), rel=0.02), harm.label
        change, changed = whatif.apply(audited, whatif.parse("quantize", f"int8,nodes={'|'.join(only)}"))
        before, after = (sum(t.constant.nbytes for t in one.weights.tensors) for one in (audited, changed))
        assert harm.saved_bytes == before - after
        assert change.blocked == ()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("step", ["int4", "w4a16", "dynamic"])
def test_other_schemes_are_run_too(step: str, tmp_path: Path) -> None:
    audited = given(tmp_path, perceptron(), "perceptron")
    found = asked(audited, f"{step},calibrate={tmp_path}")
    assert {"one", "two", "three"} <= {harm.label for harm in found}
    assert all(0 < harm.noise < 0.5 for harm in found if harm.label in ("one", "two", "three"))
    assert all((harm.activation_bytes > 0) == (step == "w4a16") for harm in found)


def test_the_option_gives_rows_and_says_where_they_come_from(tmp_path: Path) -> None:
    audited = given(tmp_path, perceptron(), "perceptron")
    change, _ = whatif.apply(audited, whatif.parse("quantize", "int8,sensitivity,calibrate=random"))
    rows = [row for row in change.details if row.table == "sensitivity"]
    assert [row.figures["source"] for row in rows] == ["random inputs"] * 6
    assert "marked random: errors of the outputs come from random inputs" in change.notes
    assert any(row.table == "activations" for row in change.details)


def test_refusals(tmp_path: Path) -> None:
    audited = given(tmp_path, perceptron(), "perceptron")
    with pytest.raises(UsageError, match="no calibration data: add calibrate=DIR or calibrate=random"):
        asked(audited, "int8")
    with pytest.raises(UsageError, match="no ONNX type of 3 bits; int4 is the next"):
        asked(audited, "w3,calibrate=random")
    with pytest.raises(UsageError, match="structure only"):
        asked(examine(without_weights(perceptron(), tmp_path)), "int8,calibrate=random")
    with pytest.raises(UsageError, match="no node that the scheme would change"):
        asked(audited, "int8,nodes=relu,calibrate=random")


# ---- ranges that are clipped
def seen(array: np.ndarray) -> TensorRange:
    low, high = float(array.min()), float(array.max())
    counts = np.histogram(array, 2048, (low, high))[0]
    return TensorRange(low, high, array.size, 0, float(array.sum()), float(np.square(array).sum()), counts)


SKEWED = np.random.default_rng(0).gumbel(size=20_000) * np.random.default_rng(1).choice((1, 1, 1, 12), 20_000)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("share", [99.9, 99.0, 90.0])
def test_percentiles_are_those_of_the_elements(share: float, symmetric: bool) -> None:
    rule = Rule("int8", "int8", clip="percentile", percentile=share, symmetric_activations=symmetric)
    low, high = spans._clipped(seen(SKEWED), rule)
    width = (SKEWED.max() - SKEWED.min()) / 2048
    wanted = (
        np.array([-1, 1]) * np.percentile(np.abs(SKEWED), share)
        if symmetric
        else np.percentile(SKEWED, ((100 - share) / 2, (100 + share) / 2))
    )
    assert np.abs(np.array([low, high]) - wanted).max() <= 1.5 * width


@pytest.mark.parametrize("dtype", ["int4", "uint8"])
def test_least_squares_lose_less_than_any_other_range(dtype: str) -> None:
    low, high = spans._clipped(seen(SKEWED), Rule("int8", dtype, clip="mse"))

    def lost(share: float) -> float:
        to = grid(dtype, symmetric=False)
        low, high = (np.array([end * share], np.float32) for end in (SKEWED.min(), SKEWED.max()))
        scale, zero = scales(low, high, to, symmetric=False)
        rows = SKEWED.astype(np.float32)[None]
        return float(np.square(rows - decode(encode(rows, scale, zero, to), scale, zero, to)).sum())

    assert low / SKEWED.min() == pytest.approx(high / SKEWED.max())
    assert lost(high / SKEWED.max()) <= 1.02 * min(lost(share) for share in np.linspace(0.02, 1, 50))
    assert (high < 0.8 * SKEWED.max()) == (dtype == "int4")


def test_a_tensor_of_one_number_or_none_has_a_range() -> None:
    for array in (np.zeros(5), np.full(5, 3.0)):
        for clip in ("minmax", "percentile", "mse"):
            low, high = spans._clipped(seen(array), Rule("int8", "int8", clip=clip))
            assert (low, high) == (array.min(), array.max())
