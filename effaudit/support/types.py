"""What an accelerator takes, as its makers state it: `effaudit.operators-supported/1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

SCHEMA: Final = "effaudit.operators-supported/1"

Setting: TypeAlias = int | float | str | tuple[int, ...] | None
Key: TypeAlias = tuple[str, str]  # (domain, operator); the domain of ONNX is ""


class Stated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a set was read: the page, its version, the day it was of, and what of the set it says (`note`)."""

    url: str
    version: str = ""
    date: str = ""
    note: str = ""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds of every operator of a set.

    `opset`: the first and last version of ONNX (null: no last). `fixed_shapes`: every input has a shape of known
    numbers. `max_rank`: of every input. `max_inner_dims`: all dims
    before the last so many are 1. `dtypes`: element types of every tensor that depends on the model's inputs;
    `float_allowed: false` refuses the floating ones. `weight_quantization: per_tensor` refuses weights with a scale per
    channel. `max_partitions`: so many parts of a graph go to the accelerator, the first ones; the rest stays outside.
    """

    opset: tuple[int, int | None] | None = None
    fixed_shapes: bool = False
    max_rank: int | None = None
    max_inner_dims: int | None = None
    dtypes: tuple[str, ...] = ()
    float_allowed: bool = True
    weight_quantization: Literal["per_tensor", "per_channel"] = "per_channel"
    max_partitions: int | None = None


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must hold of one node; what is not stated is not asked. `note` is what the source says beyond that.

    `opset` is the first and last version of the operator's domain (null: no last). Of the first input: `ranks`,
    `max_rank`, `spatial` (numbers of axes after the first two), `batch` (the first dim), `dtypes`, `max_elements`,
    `fixed_shape` (all dims are known). Of inputs by name (in any case, as `effaudit explain` lists them): `constant`
    (they depend on no input of the model), `input_dtypes`, `input_ranks`. `attributes` are the values allowed, null
    where the attribute may be left out. `outputs` is the most that are asked for; `broadcast: false` wants inputs of
    one shape. `upscales`: the output is so many times the input, in rows and columns alike.

    Of windows: `kernel_sizes` (a number for every axis, or one per axis), `min_kernel` and `max_kernel` (each axis),
    `max_kernel_product`, `strides` and `dilations` (each axis), `max_stride`, `max_dilation`, `equal_strides` and
    `equal_dilations` (one number for all axes), `max_pad` (each end), `groups` (none: 1; depthwise: 1 or as many as
    channels). `max_channels` and `max_size` bound the dims 1 and 2.. of the first input and of the output.
    """

    opset: tuple[int, int | None] | None = None
    ranks: tuple[int, ...] = ()
    max_rank: int | None = None
    spatial: tuple[int, ...] = ()
    batch: int | None = None
    dtypes: tuple[str, ...] = ()
    max_elements: int | None = None
    constant: tuple[str, ...] = ()
    input_dtypes: dict[str, tuple[str, ...]] = {}
    input_ranks: dict[str, tuple[int, ...]] = {}
    attributes: dict[str, tuple[Setting, ...]] = {}
    outputs: int | None = None
    broadcast: bool = True
    upscales: tuple[int, ...] = ()
    fixed_shape: bool = False
    kernel_sizes: tuple[int | tuple[int, ...], ...] = ()
    min_kernel: int | None = None
    max_kernel: int | None = None
    max_kernel_product: int | None = None
    strides: tuple[int, ...] = ()
    max_stride: int | None = None
    equal_strides: bool = False
    dilations: tuple[int, ...] = ()
    max_dilation: int | None = None
    equal_dilations: bool = False
    max_pad: int | None = None
    groups: Literal["none", "depthwise", "any"] = "any"
    max_channels: int | None = None
    max_size: int | None = None
    note: str = ""


class SetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written. An operator has no conditions, some, or a list of which one must hold."""

    schema: str
    name: str
    title: str
    sources: tuple[Stated, ...]
    operators: dict[str, Conditions | tuple[Conditions, ...] | None]
    limits: Limits = Limits()
    notes: tuple[str, ...] = ()


class SupportSet(msgspec.Struct, frozen=True):
    """A set as it is used: alternatives of conditions by (domain, operator), of which one must hold; `path` is its
    file."""

    name: str
    title: str
    sources: tuple[Stated, ...]
    limits: Limits
    operators: Mapping[Key, tuple[Conditions, ...]]
    notes: tuple[str, ...]
    path: str


def shown(key: Key) -> str:
    """An operator as the files write it: without the domain where that is ONNX's own."""
    domain, op = key
    return f"{domain}:{op}" if domain else op
