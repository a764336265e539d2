"""MLPerf Tiny's four networks: shipped as samples, so named here and not built again.

https://github.com/mlcommons/tiny/tree/master/benchmark
"""

from __future__ import annotations

from collections.abc import Mapping

# The measured files are int8; the float twins are the samples without `-int8`.
SAMPLES: Mapping[str, str] = {
    "mlperf_tiny_ad01_int8 (FC autoencoder 640-128x4-8-128x4-640)": "ad-int8",
    "mlperf_tiny_resnet8_cifar10 (pretrainedResnet_quant)": "ic-int8",
    "mlperf_tiny_ds_cnn (kws_ref_model)": "kws-int8",
    "mlperf_tiny_mobilenet_v1_0.25_96 (vww_96_int8)": "vww-int8",
}
