"""Published worked examples: every one is calculated by a named formula, or it says why no formula can."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from effaudit.explain.formulas import Answer, calculate

# the collection of examples, for whoever has it; the table below stands on its own
ROOT = Path(__file__).resolve().parents[2]
FILE = Path("reference", "worked_examples.json")
COLLECTION = Path(os.environ.get("EFFAUDIT_WORKED_EXAMPLES", ROOT.parent / "shared" / FILE))

# id | formula and arguments | value
TABLE = """
s0-004 | byte-size size=512KiB unit=MB | 0.524288
s0-005 | total values=4096*4096,4096*1000 | 20873216
s0-009 | weight-bytes params=20873216 bits=fp32 unit=MB | 83.492864
s0-010 | weight-bytes-saved params=20873216 from=fp32 to=int8 unit=MB | 62.619648
s0-012 | activation-elements c=1 size=56x56 | 3136
s0-013 | conv-macs cin=1 cout=1 k=3 out=56x56 versus=out=1x1 | 3136
s0-016 | conv-output-size in=56 k=3 p=1 | 56
s0-017 | conv-output-size in=28 k=5 | 24
s0-019 | conv-macs cin=3 cout=96 k=11 out=55 | 105415200
s0-020 | conv-macs cin=3 cout=96 k=11 out=55 unit=M | 105.4152
s0-021 | share part=105415200 total=724406816 unit=% | 14.55193375761942
s0-023 | conv-params cin=3 cout=96 k=11 unit=k | 34.848
s0-026 | conv-macs cin=64 cout=128 k=3 out=56 | 231211008
s0-029 | activation-elements c=96 size=55 | 290400
s0-031 | conv-macs cin=96 cout=256 k=5 g=2 out=27 | 223948800
s0-032 | activation-elements c=256 size=27 | 186624
s0-033 | conv-params cin=256 cout=384 k=3 | 884736
s0-035 | activation-elements c=384 size=13 | 64896
s0-040 | conv-macs cin=384 cout=256 k=3 g=2 out=13 | 74760192
s0-042 | pool-output-elements c=96 in=55 k=3 s=2 | 69984
s0-043 | pool-output-elements c=256 in=27 k=3 s=2 | 43264
s0-044 | pool-output-size in=55 k=3 s=2 | 27
s0-047 | linear-macs cin=9216 cout=4096 | 37748736
s0-048 | activation-elements c=4096 | 4096
s0-050 | linear-macs cin=4096 cout=4096 | 16777216
s0-052 | linear-params cin=4096 cout=1000 | 4096000
s0-054 | activation-elements c=1000 | 1000
s0-055 | total values=34848,307200,884736,663552,442368,37748736,16777216,4096000 | 60954656
s0-058 | total values=290400,69984,186624,43264,64896,64896,43264,4096,4096,1000 | 772520
s0-059 | total values=290400,69984,186624,43264,64896,64896,43264,4096,4096,1000,3*224*224,256*6*6 | 932264
s0-060 | share part=37748736+16777216 total=60954656 unit=% | 89.45330115553438
s0-063 | activation-elements c=3 size=224 | 150528
s0-065 | receptive-field k=3 layers=1 | 3
s0-066 | receptive-field k=3 layers=2 | 5
s0-067 | receptive-field k=3 layers=3 | 7
s0-071 | receptive-field k=3 layers=13 | 27
s0-072 | conv-params cin=1 cout=1 k=3 layers=13 | 117
s0-073 | conv-params cin=1 cout=1 k=13 | 169
s0-076 | conv-params cin=96 cout=256 k=5 | 614400
s0-077 | conv-params cin=96 cout=256 k=5 g=2 | 307200
s0-078 | conv-macs cin=96 cout=256 k=5 g=2 out=27 | 223948800
s0-080 | group-channels cin=96 g=2 | 48
s0-083 | separable-conv-reduction cout=128 k=3 | 8.408759124087592
s0-086 | separable-conv-dominant-term cout=256 k=3 | 1/K^2
s0-090 | conv-params cin=128 cout=128 k=3 | 147456
s0-091 | conv-macs cin=128 cout=128 k=3 out=56 | 462422016
s0-093 | separable-conv-macs cin=128 cout=128 k=3 out=56 | 54992896
s0-094 | separable-conv-reduction cout=128 k=3 | 8.408759124087592
s0-095 | separable-conv-reduction cout=128 k=3 | 8.408759124087592
s0-097 | pool-output-size in=56 k=2 | 28
s0-099 | linear-params cin=512 cout=1000 unit=k | 512
s0-102 | relu-ops c=128 size=56 | 401408
s0-105 | share part=64*256 total=64*64*9 unit=% | 44.44444444444444
s0-106 | share part=64*256 total=64*64+64*64*9+64*256 unit=% | 28.57142857142857
s0-110 | batchnorm-inference-macs c=64 size=56 folded=yes | 0
s0-112 | layernorm-ops tokens=512 d=768 unit=M | 1.96608
s0-113 | layernorm-ops tokens=512 d=768 layers=2 unit=M | 3.93216
s0-115 | attention-qkv-params d=768 | 1769472
s0-118 | attention-output-params d=768 | 589824
s0-119 | attention-output-macs tokens=512 d=768 | 301989888
s0-120 | attention-projection-macs tokens=512 d=768 | 1207959552
s0-121 | attention-macs tokens=512 d=768 | 1610612736
s0-122 | attention-macs tokens=512 d=768 unit=G | 1.610612736
s0-123 | ffn-params d=768 | 4718592
s0-125 | head-dim d=768 heads=12 | 64
s0-128 | conv-output-size in=224 k=7 p=3 s=4 | 56
s0-129 | conv-params cin=3 cout=64 k=7 | 9408
s0-130 | conv-macs cin=3 cout=64 k=7 out=56 unit=M | 29.503488
s0-132 | conv-params cin=64 cout=128 k=3 | 73728
s0-133 | conv-macs cin=64 cout=128 k=3 out=56 unit=M | 231.211008
s0-134 | activation-bytes c=128 size=56 bits=fp16 unit=KB | 802.816
s0-137 | activation-bytes c=256 size=28 bits=fp16 unit=KB | 401.408
s0-138 | conv-params cin=256 cout=512 k=3 | 1179648
s0-141 | linear-params cin=512 cout=1000 | 512000
s0-142 | linear-macs cin=512 cout=1000 unit=k | 512
s0-144 | activation-bytes c=3 size=224 bits=fp16 unit=KB | 301.056
s0-148 | transformer-block-share part=qkv tokens=512 d=768 unit=% | 22.5
s0-150 | transformer-block-share part=output tokens=512 d=768 unit=% | 7.5
s0-151 | transformer-block-share part=ffn tokens=512 d=768 unit=% | 60
s0-152 | attention-qkv-macs tokens=512 d=768 unit=M | 905.969664
s0-155 | ffn-macs tokens=512 d=768 unit=M | 2415.919104
s0-161 | ffn-params-share d=768 unit=% | 66.66666666666666
s0-162 | conv-macs cin=128 cout=128 k=3 out=28 versus=cin=64,cout=64,out=56 | 1
s0-163 | linear-params cin=768 cout=768 bias=yes unit=k | 590.592
s0-164 | linear-macs cin=768 cout=768 unit=k | 589.824
s0-167 | conv-macs cin=64 cout=64 k=3 out=56 versus=g=4 | 4
s0-168 | depthwise-conv-params c=128 k=3 | 1152
s0-170 | pointwise-conv-params cin=128 cout=128 unit=k | 16.384
s0-172 | attention-qkv-params d=768 unit=M | 1.769472
s0-173 | ffn-params d=768 unit=M | 4.718592
s0-175 | transformer-params layers=24 d=1024 | 301989888
s0-177 | embedding-params vocab=30522 d=1024 unit=M | 31.254528
s0-178 | transformer-params layers=24 d=1024 vocab=30522 unit=M | 333.244416
s0-180 | gpt2-params vocab=50257 context=1024 d=1024 layers=24 unit=M | 354.823168
s0-182 | attention-score-macs tokens=512 d=1024 | 536870912
s0-183 | transformer-block-macs tokens=512 d=1024 | 6979321856
s0-184 | transformer-block-macs tokens=512 d=1024 unit=G | 6.979321856
s0-186 | transformer-forward-flops layers=24 tokens=512 d=1024 unit=G | 335.007449088
s0-189 | transformer-block-macs tokens=512 d=1024 versus=d=256 | 13
s0-192 | conv-intensity cin=64 cout=128 k=3 p=1 in=56 bits=fp16 | 342.1090909090909
s0-193 | linear-weight-intensity tokens=1 bits=fp16 | 0.5
s0-194 | compression-ratio from=fp32 to=int8 | 4
s0-197 | global-pool-elements c=512 | 512
s0-200 | residual-add-ops c=256 size=56 | 802816
s0-202 | batchnorm-params c=64 | 128
s1-001 | weight-bytes params=7G bits=32 unit=GB | 28
s1-002 | weight-bytes params=7G bits=16 unit=GB | 14
s1-004 | weight-bytes params=7G bits=4 unit=GB | 3.5
s1-006 | weight-memory-ratio params=7G bits=fp16 memory=6GB | 2.3333333333333335
s1-007 | weight-memory-ratio params=7G bits=fp16 memory=256KiB | 53405.76171875
s1-010 | growth-gap demand=4 supply=2 | 2
s1-011 | linear-params cin=768 cout=3072 bias=yes | 2362368
s1-013 | linear-params cin=768 cout=3072 bias=yes layers=48*2 unit=M | 226.787328
s1-017 | ffn-params d=768 d_ff=3072 bias=yes layers=12 | 56669184
s1-019 | weight-bytes params=56669184 bits=int4 unit=MiB | 27.02197265625
s1-021 | conv-params cin=3 cout=64 k=7 | 9408
s1-022 | conv-macs cin=3 cout=64 k=7 out=112 | 118013952
s1-023 | conv-macs cin=3 cout=64 k=7 out=112 unit=M | 118.013952
s1-026 | flops-from-macs macs=1 | 2
s1-028 | activation-bytes c=64 size=112 bits=fp16 unit=MiB | 1.53125
s1-029 | weight-bytes params=9408 bits=fp16 unit=KiB | 18.375
s1-031 | attention-score-bytes tokens=4096 heads=32 bits=fp16 unit=GB | 1.073741824
s1-033 | relative-energy energy=0.5 reference=0.1 | 5
s1-034 | relative-energy energy=2 reference=0.1 | 20
s1-035 | relative-energy energy=5 reference=0.1 | 50
s1-036 | relative-energy energy=640 reference=0.1 | 6400
s1-037 | relative-energy energy=640 reference=3.7 | 172.97297297297297
s1-038 | relative-energy energy=640 reference=5 | 128
s1-040 | mac-energy multiply=3.7 add=0.9 | 4.6
s1-043 | memory-energy words=9408 uses=12544 access=640 unit=mJ | 75.52892928
s1-044 | memory-to-compute-energy words=9408 uses=12544 macs=118013952 access=640 operation=3.7 | 172.97297297297297
s1-046 | battery-life capacity=225 voltage=3 power=2.7 unit=minutes | 15
s1-050 | linear-weight-intensity tokens=4 bits=fp16 | 2
s1-051 | linear-regime tokens=4 bits=fp16 peak=312T bandwidth=2TB/s | memory-bound
s1-053 | linear-regime tokens=16 bits=fp16 peak=312T bandwidth=2TB/s | memory-bound
s1-054 | linear-weight-intensity tokens=64 bits=fp16 | 32
s1-057 | linear-regime tokens=256 bits=fp16 peak=312T bandwidth=2TB/s | compute-bound
s1-058 | linear-weight-intensity tokens=1024 bits=fp16 | 512
s1-059 | linear-regime tokens=1024 bits=fp16 peak=312T bandwidth=2TB/s | compute-bound
s1-060 | linear-weight-intensity tokens=512 bits=fp16 | 256
s1-061 | ridge-point-macs peak=312TFLOPS bandwidth=2TB/s | 78
s1-063 | elementwise-intensity bits=fp16 | 0.25
s1-064 | ridge-distance intensity=0.25 ridge=156 | 624
s1-065 | ridge-distance intensity=1 ridge=156 | 156
s1-070 | roofline-regime intensity=0.25 ridge=156 | memory-bound
s1-071 | roofline-regime intensity=1 ridge=156 | memory-bound
s1-072 | roofline-regime intensity=3 ridge=156 | memory-bound
s1-073 | roofline-regime intensity=32 ridge=156 | memory-bound
s1-074 | roofline-regime intensity=512 ridge=156 | compute-bound
s1-075 | roofline-regime intensity=1000 ridge=156 | compute-bound
s1-076 | layer-activation-bytes cin=3 in=224 cout=64 out=112 bits=fp16 unit=KiB | 1862
s1-077 | throughput batch=16 latency=0.08 | 200
s1-080 | fits bytes=7e9*0.5 memory=10GB | yes
s2-002 | conv-macs cin=256 cout=256 k=3 out=56 unit=G | 1.849688064
s2-005 | separable-conv-reduction cout=256 k=3 | 8.69433962264151
s2-007 | separable-conv-params cin=256 cout=256 k=3 | 67840
s2-009 | pointwise-conv-params cin=256 cout=256 | 65536
s2-012 | expanded-channels cin=24 t=6 | 144
s2-015 | compound-scaling-factor base=1.1 phi=2 | 1.21
s2-017 | compound-scaled-size size=18 base=1.2 phi=3 | 32
s2-018 | compound-scaled-size size=32 base=1.1 phi=3 | 43
s2-019 | compound-scaled-size size=224 base=1.15 phi=3 | 341
s2-023 | ratio a=11.6 b=1.8 | 6.444444444444444
s2-031 | patch-tokens image=224 patch=16 | 196
s2-033 | attention-tile-reduction tokens=4096 bits=fp16 tile=256KiB | 128
s2-048 | separable-conv-reduction cout=64 k=3 | 7.890410958904109
s2-049 | separable-conv-reduction cout=256 k=3 | 8.69433962264151
s2-052 | depthwise-intensity c=256 k=3 p=1 in=56 bits=fp32 | 1.123387995542111
s2-054 | compression-ratio from=fp32 to=int8 | 4
s2-057 | search-cost-hours evaluations=1000 hours=1 | 1000
s2-058 | attention-tile-reduction tokens=4096 bits=fp16 tile=256KiB | 128
s3-001 | weight-bytes params=3.4M bits=fp32 unit=MB | 13.6
s3-002 | weight-bytes params=3.4M bits=int8 unit=MB | 3.4
s3-004 | arithmetic-intensity flops=3.2G bytes=400KB | 8000
s3-006 | ridge-point peak=19.5T bandwidth=2.039TB/s | 9.563511525257478
s3-008 | activation-bytes c=64 size=56 bits=fp32 unit=KiB | 784
s3-009 | overflows bytes=64*56*56*4 memory=512KiB | yes
s3-013 | linear-params cin=512 cout=256 | 131072
s3-014 | conv-params cin=32 cout=1 k=3 | 288
s3-015 | conv-params cin=32 cout=64 k=3 | 18432
s3-016 | depthwise-conv-params c=32 k=3 | 288
s3-018 | separable-conv-params cin=32 cout=64 k=3 | 2336
s3-019 | separable-conv-reduction cout=64 k=3 | 7.890410958904109
s3-025 | density sparsity=70% unit=% | 30
s3-026 | nm-sparsity n=2 m=4 unit=% | 50
s3-027 | nm-index-bits n=2 m=4 | 4
s3-028 | sparse-payload-bytes nnz=100000 unit=MB | 0.8
s3-030 | sparse-payload-break-even value_bits=fp32 index_bits=int32 unit=% | 50
s3-032 | density sparsity=40% unit=% | 60
s3-034 | quantization-scale min=-2 max=6 bits=8 | 0.03137254901960784
s3-035 | quantization-steps bits=8 | 255
s3-037 | quantize x=1.5 scale=0.03137 zero_point=64 | 112
s3-040 | quantization-error x=1.5 scale=0.03137 zero_point=64 | 0.00576
s3-041 | quantization-max-error min=-2 max=6 bits=8 | 0.01568627450980392
s3-042 | codebook-index-bits entries=16 | 4
s3-044 | per-channel-extra-bytes channels=128 bits=fp32 | 508
s3-046 | smoothquant-factor activation_max=8 weight_max=0.5 alpha=0.5 | 4
s3-048 | smoothquant-weight-max activation_max=8 weight_max=0.5 alpha=0.5 | 2
s3-050 | weight-bytes params=7G bits=fp16 unit=GB | 14
s3-052 | quantization-levels bits=4 | 16
s3-053 | quantization-steps bits=4 | 15
s3-055 | search-space-log10 choices=7 layers=14 | 11.831372560199595
s3-057 | search-space-size choices=7 layers=14 unit=G | 678.223072849
s3-058 | softmax logits=2,1,0 | 0.6652409557748218
s3-059 | latency-gradient p=0.6 latency=10 expected=7.7 | 1.38
s3-060 | mnasnet-reward accuracy=0.75 latency=60ms target=80ms w=-0.07 | 0.765256408059265
s3-063 | mnasnet-reward accuracy=0.75 latency=80ms target=60ms w=-0.07 | 0.7350477488016506
s3-066 | ratio a=22400 b=4 | 5600
s3-068 | softmax logits=4,2,1 temperature=1 | 0.8437947344813395
s3-069 | kd-gradient-scale temperature=5 | 25
s3-072 | kd-loss cross_entropy=2.0 kl=0 alpha=0.7 | 0.6
s3-073 | uniform-probability classes=10 | 0.1
s3-074 | ratio a=25.6 b=3.4 | 7.529411764705883
s3-076 | layer-activation-bytes cin=32 cout=64 in=56 bits=int8 unit=KiB | 294
s3-077 | memory-utilization bytes=294KiB memory=400KiB unit=% | 73.5
s3-078 | patch-ideal-reduction patches=4 | 16
s3-079 | patch-size in=56 patches=4 | 14
s3-080 | patch-memory-reduction cin=32 cout=64 in=56 patches=4 k=3 | 14.518518518518519
s3-081 | im2col-elements cin=32 k=3 out=14 | 56448
s3-084 | im2col-expansion k=3 in=14 p=1 | 9
s3-085 | byte-size size=1000000 unit=MB | 1
s3-086 | board-fit weights=1000000 flash=1MiB activations=256KiB sram=256KiB firmware=50KiB | no
s3-088 | activation-bytes c=64 size=56 bits=int8 unit=KiB | 196
s3-090 | attention-score-flops tokens=2048 d=512 unit=G | 8.589934592
s3-091 | attention-score-flops tokens=2048 d=512 versus=tokens=1024 | 4
s3-092 | kv-cache-bytes layers=32 kv_heads=32 head_dim=128 tokens=512 bits=fp16 unit=MB | 268.435456
s3-093 | kv-cache-bytes layers=32 kv_heads=32 head_dim=128 tokens=512*8 batch=32 versus=tokens=512,batch=1 | 256
s3-095 | kv-cache-reduction heads=64 kv_heads=8 | 8
s3-097 | linear-params cin=4096 cout=4096 | 16777216
s3-098 | linear-params cin=4096 cout=4096 unit=M | 16.777216
s3-099 | lora-reduction cin=4096 cout=4096 r=16 | 128
s3-100 | lora-share cin=4096 cout=4096 r=16 | 0.0078125
s3-103 | qlora-bytes params=7G adapter_params=20M unit=GB | 3.54
s3-106 | free-memory memory=1MiB bytes=800000 reserved=50KiB unit=KiB | 192.75
s3-110 | fits bytes=80KiB memory=256KiB | yes
s3-113 | compute-latency macs=6M rate=60M unit=ms | 100
s3-114 | accelerated-latency latency=500ms speedup=4 unit=ms | 125
s3-115 | pruned-macs macs=30M factor=5 unit=M | 6
s3-116 | compute-latency macs=200M rate=100M unit=ms | 2000
s3-118 | llm-memory-bytes params=13G bits=4 layers=40 kv_heads=40 head_dim=128 tokens=2048 batch=4 unit=GB | 13.2108864
s3-119 | weight-bytes params=13G bits=fp16 unit=GB | 26
s3-121 | compressed-bytes bytes=6MB ratio=4 unit=MB | 1.5
s3-123 | ratio a=6 b=1.5 | 4
s3-125 | fits bytes=7e9*2 memory=12GB | no
s3-126 | fits bytes=7e9*0.5+20e6*2 memory=8GB | yes
s3-127 | fits bytes=13e9*0.5+6710886400 memory=24GB | yes
s3-130 | dequantize q=64 scale=0.03137 zero_point=64 | 0
s4-001 | flops-from-macs macs=1 | 2
s4-003 | gpt2-params-estimate-ratio vocab=50257 d=768 layers=12 | 0.9927050996414266
s4-006 | winograd-multiplications m=2 r=3 | 16
s4-007 | winograd-reduction m=2 r=3 | 2.25
s4-009 | kv-cache-reduction heads=64 kv_heads=1 | 64
s4-011 | relative-energy energy=3.7 | 37
s4-013 | relative-energy energy=640 | 6400
s4-014 | depthwise-conv-params c=32 k=3 | 288
s4-015 | depthwise-conv-macs c=32 k=3 out=28 | 225792
s4-016 | conv-params cin=32 cout=32 k=3 g=32 | 288
s4-017 | pointwise-conv-macs cin=32 cout=64 out=28 | 1605632
s4-018 | inplace-depthwise-elements c=144 in=56 | 451584
s4-020 | roofline-regime intensity=200 peak=100T bandwidth=900GB/s | compute-bound
s4-022 | patch-tokens image=224 patch=16 | 196
s4-023 | attention-score-macs tokens=2048 d=768 versus=tokens=1024 | 4
s4-025 | separable-conv-reduction cout=256 k=3 | 8.69433962264151
s4-029 | ffn-activation-elements tokens=512 d=768 | 1966080
s4-030 | power-draw tdp=300 utilization=70% | 210
s4-033 | carbon tdp=300 utilization=70% pue=1.2 time=10ms intensity=400 | 2.8e-07
s4-037 | compression-ratio from=fp32 to=fp32 | 1
s4-039 | speedup throughput=700 baseline=100 | 7
s4-042 | byte-size size=320KiB | 327680
s4-043 | throughput latency=10ms | 100
s4-044 | ops-per-watt peak=100T utilization=70% power=252 | 277777777777.7778
s4-046 | iterated-latency steps=50 latency=20ms | 1
"""

# Examples whose value takes a last look at an answer: id -> (formula and arguments, what is looked at, value).
LOOKS: dict[str, tuple[str, Callable[[Answer], Any], Any]] = {
    "s0-015": ("conv-output-size in=224 k=11 p=2 s=4", lambda answer: int(answer.steps[0].rsplit(" = ", 1)[1]), 54),
    "s0-057": (  # a sum of MACs, in millions
        "total values=105415200,223948800,149520384,112140288,74760192,37748736,16777216,4096000",
        lambda answer: answer.value / 1e6,
        724.406816,
    ),
    "s0-198": ("hard-swish x=1", lambda answer: abs(answer.value - 0.6666666667) < 1e-9, True),
    "s1-012": (  # as many MACs as parameters
        "linear-macs cin=768 cout=3072",
        lambda answer: answer.value == answered("linear-params cin=768 cout=3072").value,
        True,
    ),
    "s2-051": ("matmul-intensity m=4096 k=4096 n=4096 bits=fp32", lambda answer: answer.value / 4096, 1 / 6),
    "s3-011": (  # 3x3 depthwise in int8, on a device with a ridge of 4 FLOPs per byte
        "roofline-regime intensity=2*9/2 ridge=4",
        lambda answer: answer.value,
        "compute-bound",
    ),
    "s3-133": ("patch-input-size in=56 patches=4 k=3", lambda answer: answer.value**2 > 14**2, True),
    "s4-002": ("transformer-token-flops layers=24 d=1024", lambda answer: answer.value / (24 * 1024**2), 24),
}

NETWORK = "a property of a whole published network: tested on its graph"
FACT = "a fact of a published product or model, not a calculation"
OTHER = {
    "s0-011": "names the largest layer of a published network",
    "s0-062": "names the largest tensor of a published network",
    "s0-107": "the stride and size of a layer of a published network",
    "s1-014": "the number of blocks of a published network",
    "s2-003": "an order of growth, not a number",
    "s2-004": "an order of growth, not a number",
    "s2-059": "whether a snippet of code runs",
    "s4-041": "zero by definition: the operators of a temporal shift have no MACs",
}
NOT_CALCULABLE = {
    **dict.fromkeys("s0-089 s0-108 s0-147 s0-157 s0-158 s0-159 s0-160 s0-187".split(), NETWORK),
    **dict.fromkeys("s2-026 s2-027 s2-028 s2-029 s2-030 s2-034 s2-036 s2-038 s2-039".split(), NETWORK),
    **dict.fromkeys("s2-040 s2-045 s2-046 s2-047".split(), NETWORK),
    **dict.fromkeys("s2-021 s2-055 s3-124 s4-026".split(), FACT),
    **OTHER,
}


def answered(line: str) -> Answer:
    name, *arguments = line.split()
    return calculate(name, dict(argument.partition("=")[::2] for argument in arguments))


def rows() -> list[tuple[str, str, str]]:
    split = [line.split("|") for line in TABLE.strip().splitlines()]
    return [(ident.strip(), line.strip(), value.strip()) for ident, line, value in split]


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, (str, bool)) or isinstance(found, (str, bool)):
        return type(found) is type(wanted) and found == wanted
    return math.isclose(found, wanted, rel_tol=1e-12, abs_tol=0) if isinstance(found, float) else found == wanted


def number(text: str) -> int | float | None:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return None


@pytest.mark.parametrize("ident, line, value", rows(), ids=[row[0] for row in rows()])
def test_table(ident: str, line: str, value: str) -> None:
    found = answered(line).value
    if isinstance(found, bool):
        assert value == ("yes" if found else "no")
    else:
        wanted = number(value)
        assert same(found, value if wanted is None else wanted), f"{ident}: {found}"


@pytest.mark.parametrize("ident", LOOKS)
def test_looks(ident: str) -> None:
    line, look, value = LOOKS[ident]
    assert same(look(answered(line)), value)


def test_every_example_is_calculated_or_says_why_not() -> None:
    listed = [row[0] for row in rows()] + list(LOOKS) + list(NOT_CALCULABLE)
    assert len(listed) == len(set(listed)) == 313
    assert len(NOT_CALCULABLE) <= 33


@pytest.mark.skipif(not COLLECTION.exists(), reason="no collection of worked examples")
def test_agrees_with_the_collection() -> None:
    examples = {example["id"]: example for example in json.loads(COLLECTION.read_text(encoding="utf-8"))}
    assert set(examples) == {row[0] for row in rows()} | set(LOOKS) | set(NOT_CALCULABLE)
    wrong = []
    for ident, line, _ in rows():
        value = examples[ident]["computed_value"]
        found = answered(line).value
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not isinstance(found, (str, bool)):
            ok = math.isclose(found, value, rel_tol=1e-12)
        else:
            ok = found == value
        if not ok:
            wrong.append((ident, found, value))
    for ident, (line, look, _) in LOOKS.items():
        found, value = look(answered(line)), examples[ident]["computed_value"]
        if not (math.isclose(found, value, rel_tol=1e-12) if isinstance(value, float) else found == value):
            wrong.append((ident, found, value))
    assert wrong == []


@pytest.mark.skipif(not COLLECTION.exists(), reason="no collection of worked examples")
def test_network_examples_need_a_network() -> None:
    examples = {example["id"]: example for example in json.loads(COLLECTION.read_text(encoding="utf-8"))}
    for ident, reason in NOT_CALCULABLE.items():
        assert (reason == NETWORK) == ("M['" in str(examples[ident]["formula"])), ident
