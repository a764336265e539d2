"""Uniform quantization: scales, zero points, errors and overheads."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula, Parameter
from effaudit.explain.formulas._parameters import bits, count, flag, formula, positive, real, share

_JACOB: Final = "https://arxiv.org/abs/1712.05877"
_ONNX: Final = "https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html"
_SMOOTH: Final = "https://arxiv.org/abs/2211.10438"
_MIN: Final = real("min", "smallest value", "-2")
_MAX: Final = real("max", "largest value", "6")
_BITS: Final = bits("bits", "bits", "int8", "8")
_SCALE: Final = positive("scale", "scale", "0.03137")
_ZERO: Final = real("zero_point", "zero point", "64", "0")
_X: Final = real("x", "the value", "1.5")
_SIGNED: Final = flag("signed", "whether integers are signed", "no")
_RANGE: Final = ("max > min", "the largest value must be above the smallest")
_SMALL: Final = ("bits % 1 == 0 and bits <= 64", "a whole number of bits up to 64")
_LOW: Final = ("low", "-(2 ** (bits - 1)) if signed else 0")
_HIGH: Final = ("high", "2 ** (bits - 1) - 1 if signed else 2 ** bits - 1")
_TIES: Final = "Halves round to the even integer, as in ONNX and NumPy."

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "quantization-levels",
        "2 ** bits",
        _BITS,
        requires=(_SMALL,),
        unit="levels",
        about="The values that so many bits tell apart.",
    ),
    formula(
        "quantization-steps",
        "2 ** bits - 1",
        _BITS,
        requires=(_SMALL,),
        unit="steps",
        about="The steps between the smallest and the largest level: one fewer than levels.",
    ),
    formula(
        "quantization-scale",
        "(max - min) / (2 ** bits - 1)",
        _MIN,
        _MAX,
        _BITS,
        requires=(_RANGE, _SMALL),
        unit="",
        about="Asymmetric: the range over the steps.",
        mistakes=("2^bits - 1 steps, not 2^bits.", "The range must include 0, or zeros cannot be represented."),
        source=_JACOB,
    ),
    formula(
        "quantization-symmetric-scale",
        "max_abs / (2 ** (bits - 1) - 1)",
        positive("max_abs", "largest absolute value", "6"),
        _BITS,
        requires=(_SMALL, ("bits > 1", "at least 2 bits")),
        unit="",
        about="Symmetric: the zero point is 0 and the lowest integer stays unused.",
        source="https://arxiv.org/abs/2004.09602",
    ),
    formula(
        "quantization-zero-point",
        "clip(round(low - min / scale), low, high)",
        _MIN,
        _MAX,
        _BITS,
        _SIGNED,
        where=(("scale", "(max - min) / (2 ** bits - 1)"), _LOW, _HIGH),
        requires=(_RANGE, _SMALL),
        unit="",
        about="The integer that stands for 0.",
        mistakes=(_TIES,),
        source=_JACOB,
    ),
    formula(
        "quantize",
        "clip(round(x / scale) + zero_point, low, high)",
        _X,
        _SCALE,
        _ZERO,
        _BITS,
        _SIGNED,
        where=(_LOW, _HIGH),
        requires=(_SMALL,),
        unit="",
        about="The integer nearest to x / scale, shifted by the zero point and saturated.",
        mistakes=(_TIES,),
        source=_ONNX,
    ),
    formula(
        "dequantize",
        "scale * (q - zero_point)",
        real("q", "the integer", "112"),
        _SCALE,
        _ZERO,
        unit="",
        about="The value that an integer stands for.",
        source="https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html",
    ),
    formula(
        "quantization-error",
        "abs(scale * (q - zero_point) - x)",
        _X,
        _SCALE,
        _ZERO,
        _BITS,
        _SIGNED,
        where=(_LOW, _HIGH, ("q", "clip(round(x / scale) + zero_point, low, high)")),
        requires=(_SMALL,),
        unit="",
        about="How far a value moves when it is quantized and back.",
        source=_ONNX,
    ),
    formula(
        "quantization-max-error",
        "scale / 2",
        _MIN,
        _MAX,
        _BITS,
        where=(("scale", "(max - min) / (2 ** bits - 1)"),),
        requires=(_RANGE, _SMALL),
        unit="",
        about="Rounding moves a value by at most half a step.",
        mistakes=("Within the range; what saturates can move further.",),
        source=_JACOB,
    ),
    formula(
        "per-channel-extra-bytes",
        "(channels - 1) * ceil((bits + zero_point_bits) / 8)",
        count("channels", "output channels", "128"),
        bits("bits", "bits per scale", "fp32", "32"),
        Parameter("zero_point_bits", "whole", "bits per zero point, 0 where there is none", "8", "0"),
        unit="bytes",
        about="Scales (and zero points) per channel instead of one for the tensor.",
        mistakes=("Zero points come on top of the scales unless the weights are symmetric.",),
        source="https://arxiv.org/abs/2004.09602",
    ),
    formula(
        "block-quantization-bits",
        "bits + (scale_bits + zero_point_bits) / block",
        bits("bits", "bits per weight", "int4"),
        count("block", "weights that share a scale", "32"),
        bits("scale_bits", "bits per scale", "fp16", "16"),
        Parameter("zero_point_bits", "whole", "bits per zero point, 0 where there is none", "4", "0"),
        unit="bits/weight",
        about="The width of a weight with its part of the scale: 4.5 bits for blocks of 32 with fp16 scales.",
        source="https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html",
    ),
    formula(
        "smoothquant-factor",
        "activation_max ** alpha / weight_max ** (1 - alpha)",
        positive("activation_max", "largest activation of the channel", "8"),
        positive("weight_max", "largest weight of the channel", "0.5"),
        share("alpha", "migration strength", "0.5", "0.5"),
        unit="",
        about="Activations are divided and weights multiplied by it, so that both are about as hard to quantize.",
        source=_SMOOTH,
    ),
    formula(
        "smoothquant-weight-max",
        "weight_max * factor",
        positive("weight_max", "largest weight of the channel", "0.5"),
        positive("activation_max", "largest activation of the channel", "8"),
        share("alpha", "migration strength", "0.5", "0.5"),
        where=(("factor", "activation_max ** alpha / weight_max ** (1 - alpha)"),),
        unit="",
        about="The largest weight of a channel after smoothing.",
        source=_SMOOTH,
    ),
)
