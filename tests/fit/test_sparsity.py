"""Which devices compute pruned weights faster: those whose engines state a peak for it, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from effaudit.device.find import find
from effaudit.fit.sparsity import gains
from tests.profiles import accelerator, device

PROFILES = Path(__file__).parents[2] / "device_profiles"


@pytest.mark.parametrize("name", ["nvidia-a100-40gb-sxm", "nvidia-h100-sxm", "nvidia-l4"])
def test_where_a_sparse_peak_is_stated(name: str) -> None:
    said = gains(find(name), "2:4")
    stated = (PROFILES / f"{name}.yaml").read_text(encoding="utf-8").count("sparse_2_4_")
    assert "faster at most by" in said and len(re.findall(r" 2x \(", said)) == stated > 2
    assert "624 TFLOP/s" in said or "a100" not in name


@pytest.mark.parametrize("name", ["cortex-m7", "nvidia-v100-sxm2", "coral-edgetpu-usb", "google-tpu-v4"])
def test_where_none_is(name: str) -> None:
    assert "not faster with 2:4" in gains(find(name), "2:4")


@pytest.mark.parametrize("pattern, called", [("", "unstructured"), ("1:4", "1:4"), ("4:8", "4:8")])
def test_no_device_gains_from_other_zeros(pattern: str, called: str) -> None:
    for name in ("nvidia-a100-40gb-sxm", "cortex-m7"):
        assert f"not faster with {called} sparsity" in gains(find(name), pattern)


def test_a_peak_without_the_dense_one(tmp_path: Path) -> None:
    whole = accelerator(1e12, 1e9)
    whole["engines"][0]["peaks"]["int8"] = {"sparse_2_4_op_per_s": 4e12}
    said = gains(device(tmp_path, whole), "2:4")
    assert "int8 (4.00 Top/s, dense not known)" in said and "float16" not in said
