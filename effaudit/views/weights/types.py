"""What the weights view tells: plain frozen values, ready for any renderer."""

from __future__ import annotations

import msgspec

from effaudit.findings import Finding


class Values(msgspec.Struct, frozen=True):
    """The numbers in one tensor, as stored: quantized weights as their codes.

    `zeros` counts the elements that stand for zero: equal to the zero point in quantized weights; None where that is
    not known (`zeros_why`). `min`, `max`, `mean`, `std` (of the population) are of the finite elements, None where
    there are none or float64 cannot hold them. `peak_to_rms` is max |x| over the root of the mean square. `outliers`
    are further than 6 standard deviations from the mean. `distinct` is None for more than 256 different values. The
    rest is told of floats only: `denormals`, `exact_in` (narrower float formats that hold every element exactly),
    `over_float16` and `under_float16` (elements beyond +-65504, and nonzero elements below 2^-24 in magnitude; None for
    float16 and narrower).
    """

    zeros: int | None
    zero_share: float | None
    zeros_why: str | None
    min: float | int | None
    max: float | int | None
    mean: float | None
    std: float | None
    peak_to_rms: float | None
    outliers: int | None
    outlier_share: float | None
    nan: int
    infinite: int
    denormals: int
    distinct: int | None
    exact_in: tuple[str, ...]
    over_float16: int | None
    under_float16: int | None


class Channels(msgspec.Struct, frozen=True):
    """One weight of a convolution, matrix product or recurrent layer, channel by channel, as node `reader` uses it.

    An output channel is dead where all its weights stand for zero; so is an input channel. `constant_outputs` are
    output channels of two or more equal weights that are not dead. `spread` is the largest max |x| of an output channel
    over the median one, dead channels left out; None for codes, for weights that are not finite and where all are dead.
    `two_four`: of every 4 consecutive weights along the axis that is summed over, at least 2 stand for zero; False
    where 4 does not divide that axis. The other figures are None where `why` says why.
    """

    reader: str
    outputs: int
    dead_outputs: int | None
    constant_outputs: int
    spread: float | None
    inputs: int
    dead_inputs: int | None
    two_four: bool | None
    why: str | None


class TensorWeights(msgspec.Struct, frozen=True):
    """One constant that acts as a parameter, a buffer or quantization data.

    `reader` and `input` name the node and its input (None where the operator's rules do not name it). `values` is None
    where `missing` says why; `channels` where `channels_why` does.
    """

    name: str
    role: str
    reader: str | None
    input: str | None
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    elements: int
    values: Values | None
    missing: str | None
    channels: Channels | None
    channels_why: str | None


class Duplicate(msgspec.Struct, frozen=True):
    """Tensors stored more than once: `kind` "same" (equal bytes, shape and type), or "transposed" (the first is the
    transpose of the second).

    `bytes` is the size of one; `wasted_bytes` what the file would lose with one copy: copies at one place of a file are
    stored once already.
    """

    kind: str
    names: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    wasted_bytes: int


class Tied(msgspec.Struct, frozen=True):
    """One parameter that several nodes read."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    readers: tuple[str, ...]


class FloatTensor(msgspec.Struct, frozen=True):
    """A float weight of a node that multiplies and accumulates; `quantized_at_load`: a QuantizeLinear of the graph
    makes its codes when the model is loaded, so the float numbers are in the file only."""

    name: str
    reader: str
    op: str
    dtype: str
    bytes: int
    quantized_at_load: bool


class Apart(msgspec.Struct, frozen=True):
    """Float parameters that quantized models usually keep: `what` is "bias", "norm", "embedding" or "other"."""

    what: str
    tensors: int
    bytes: int
    names: tuple[str, ...]


class FloatLeft(msgspec.Struct, frozen=True):
    """What a quantized model still stores as floats; `bytes` is of `tensors`, `apart` is not in it."""

    tensors: tuple[FloatTensor, ...]
    bytes: int
    apart: tuple[Apart, ...]


class Unread(msgspec.Struct, frozen=True):
    """Tensors whose values are not told, by reason."""

    reason: str
    tensors: int
    bytes: int
    names: tuple[str, ...]


class WeightTotals(msgspec.Struct, frozen=True):
    """Sums over the tensors; `coverage` says of how many. Where nothing could be read, figures of values are None.

    `elements`, `zeros`, `zero_share` and the counts are of parameters: `zeros` of the `zeros_of` elements of them whose
    zeros are known. `lossless_16_bytes` and `duplicate_bytes` are what the file would save: the former with 16-bit
    floats for weights whose numbers all are 16-bit floats, the latter with one copy of equal tensors. `two_four_bytes`
    and `float_left_bytes` are what those weights take now.
    """

    tensors: int
    read: int
    coverage: str
    elements: int
    bytes: int
    zeros: int | None
    zeros_of: int
    zero_share: float | None
    nan: int | None
    infinite: int | None
    denormals: int | None
    dead_outputs: int | None
    dead_inputs: int | None
    two_four_bytes: int | None
    duplicate_bytes: int | None
    lossless_16_bytes: int | None
    float_left_bytes: int | None
    unused: int
    unused_bytes: int


class WeightsReport(msgspec.Struct, frozen=True):
    """Everything of one model. `float_left` is None where the model is not quantized."""

    tensors: tuple[TensorWeights, ...]
    totals: WeightTotals
    duplicates: tuple[Duplicate, ...]
    tied: tuple[Tied, ...]
    float_left: FloatLeft | None
    findings: tuple[Finding, ...]
    unread: tuple[Unread, ...]
