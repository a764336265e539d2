"""Where estimates miss their goal, and what was tried: the part of the page that no program can write."""

from __future__ import annotations

from typing import Final

MISSES: Final = """\
## Where a group misses its goal, and what was tried

The goals are met over all rows. Of the groups:

- **Cortex-M4, runtime known.** The pairs are the L4R5 and the PSoC 6 boards. They differ by 7 to 50 % in cycles,
  depending on network and runtime, so no one factor of a board accounts for it. Tried: a factor per board, a cost per
  output element, wait states of flash and SRAM. The only published one (Infineon's first driver gives SRAM wait states
  above 120 MHz) does not hold for the later drivers. It stays in the interval, which holds 95 %.
- **Cortex-M7 with buses at half the clock (STM32H743, H747), runtime not known.** The rows are TFLM's portable kernels,
  CMSIS-NN, X-CUBE-AI and TinyEngine on one board: 23 times lie between the first and the last, and the runtime is what
  has to be guessed. With the runtime known the same boards are at 12 %.
- **Hexagon, w8a8.** Tried: MACs alone (43 to 62 %), a fixed cost and one per layer (23 to 48 %), rates by class and
  weight bytes. DenseNet-121 takes 2.8 to 3.3 times the estimate on every chip, and 49 times on the QCS6490; ViT 4.7
  times there; GoogLeNet and Inception v3 are faster than estimated. Which layers leave the processor is not published.
- **Processors under other runtimes.** The two processors of the Coral page are named in a footnote only; ONNX Runtime
  on the QCS6490 and TVM have one board each.
- **Edge TPU, STM32MP257.** Neither has a sister board: the estimates come from NPUs that share nothing but the class.
- **ESP32, S3, C3.** One network each.
- **Jetson, one sample.** The median is within the goal; the interval, from the errors of the larger GPUs, is too narrow
  for the two Xavier boards (BERT). Tried: launch costs and power by generation, caches.

How the forms of the models were chosen (classes, terms, how strongly effects are pulled together) was seen against
these same scores, so that they are slightly optimistic: boards outside the file are the clean test. Figures of four
such boards that were not fitted: DISCO-F746NG under HALE within 4 % (image classification, keyword spotting) and 8 %
(autoencoder); A10 0.85 of the measured time for one sample and 1.06 offline; H100 PCIe 0.86, Orin NX 0.94 (ResNet-50,
int8, offline).
"""
