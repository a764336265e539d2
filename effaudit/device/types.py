"""A device, as its profile states it: `device_profiles/NAME.yaml`, schema `effaudit.device/1`.

Field by field: docs/devices.md. Every number is a `Fact` with the unit in its key; None (YAML: null, or the key left
out) is not known, and a check that needs it is then not checkable, never passed. Bytes are bytes, seconds seconds; a
multiply-accumulate (MAC) is two operations (FLOP, op).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

SCHEMA: Final = "effaudit.device/1"

Status: TypeAlias = Literal["vendor", "measured", "derived", "fitted", "assumed"]
STATUSES: Final[tuple[str, ...]] = get_args(Status)
Kind: TypeAlias = Literal["mcu", "npu", "phone", "sbc", "gpu", "cpu", "tpu"]
Holds: TypeAlias = Literal["weights", "activations", "kv_cache", "code", "stack"]
# How a runtime works through a kernel differs by these: rates are stated for each.
OpClass: TypeAlias = Literal[
    "conv",
    "depthwise",
    "pointwise",
    "grouped",
    "transposed",
    "fully_connected",
    "matmul",
    "attention",
    "recurrent",
    "elementwise",
    "normalization",
    "softmax",
    "pooling",
    "reduction",
    "movement",
    "other",
]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of everything in a profile."""


class Fact(Strict, frozen=True):
    """A number of a profile: what it is, where it stands (a key of `sources`) and how far it can be trusted.

    `vendor`: the maker says so. `measured`: somebody ran it and published the figure. `derived`: computed from such,
    `note` says how. `fitted`: the parameter of a model fitted to measurements. `assumed`: nobody says so; `note` says
    why it is taken. `low` and `high` bound it where more than one value is known. `value` is None where it is known
    that nobody publishes it; `note` says so.
    """

    value: int | float | None
    unit: str
    source: str
    status: Status
    low: int | float | None = None
    high: int | float | None = None
    note: str = ""

    @property
    def least(self) -> int | float:
        """The smallest it may be; 0 where it is not known at all."""
        return self.low if self.low is not None else self.value or 0

    @property
    def most(self) -> int | float | None:
        """The largest it may be; None where nothing bounds it."""
        return self.high if self.high is not None else self.value


class Source(Strict, frozen=True):
    """Where numbers stand: a document, and when it was read."""

    title: str
    url: str = ""
    accessed: str = ""


class Peak(Strict, frozen=True):
    """The most an engine does with one element type. Dense and 2:4-sparse peaks are never mixed.

    `dense_mac_per_cycle` is of one core; the others are of the whole engine, 2 operations per MAC.
    """

    dense_mac_per_cycle: Fact | None = None
    dense_flop_per_s: Fact | None = None
    dense_op_per_s: Fact | None = None
    sparse_2_4_flop_per_s: Fact | None = None
    sparse_2_4_op_per_s: Fact | None = None
    accumulates: str = ""
    note: str = ""


class Alignment(Strict, frozen=True):
    """Channels are worked on in groups: a layer of 17 takes as long as one of 32 where the group is 16."""

    input_channels: Fact | None = None
    output_channels: Fact | None = None


class Engine(Strict, frozen=True):
    """A part that computes. `peaks` by ONNX element type (int8, int16, float16, bfloat16, float32, tfloat32, ...): a
    type that is not there has no kernels of its own here. `cores` are the parts that `dense_mac_per_cycle` counts."""

    name: str
    kind: Literal["scalar", "simd", "vector", "matrix", "npu", "gpu"]
    title: str = ""
    isa: str = ""
    cores: Fact | None = None
    clock_hz: Fact | None = None
    peaks: dict[str, Peak] = {}
    alignment: Alignment | None = None
    note: str = ""


class Region(Strict, frozen=True):
    """A range of addresses. Regions whose addresses follow each other are one contiguous region."""

    name: str
    size_bytes: Fact
    base: int | None = None


class Memory(Strict, frozen=True):
    """A memory. `holds` is what may lie in it, in the order of the profile where several hold the same: weights fill
    the first and spill into the next. A `cache` holds copies: it changes how fast bytes come, never what fits."""

    name: str
    kind: Literal["ram", "scratchpad", "flash", "dram", "cache", "link"]
    title: str = ""
    size_bytes: Fact | None = None
    regions: tuple[Region, ...] = ()
    read_bandwidth_byte_per_s: Fact | None = None
    write_bandwidth_byte_per_s: Fact | None = None
    latency_s: Fact | None = None
    read_energy_pj_per_byte: Fact | None = None
    write_energy_pj_per_byte: Fact | None = None
    holds: tuple[Holds, ...] = ()
    note: str = ""


class Reserved(Strict, frozen=True):
    """Bytes of a memory that the model cannot have: operating system, stack, firmware."""

    memory: str
    size_bytes: Fact
    what: str


class DeviceRuntime(Strict, frozen=True):
    """A runtime on this device. The first of a profile is the default.

    `rules` names the rules of `effaudit memory --runtime`: how it lowers the graph and lays out the arena. `supports`
    names the set of operators that `engine` takes; the others run on `fallback` (an engine; "" where there is none and
    an operator that is not taken cannot run). `code_bytes` is the code of the runtime and its kernels, `state_bytes`
    what it keeps in RAM beyond what `rules` count; `table_bytes_per_node` and `table_bytes_per_tensor` are what it
    stores in flash beside the weights, where null says that `code_bytes` was measured with them in it. `transfer_*`:
    moving tensors between `engine` and `fallback`.
    `computes` names the element types that the engine computes in another one (float32: float16). `threads` are those
    that it was measured with.
    """

    name: str
    rules: str
    engine: str
    title: str = ""
    version: str = ""
    supports: str = ""
    fallback: str = ""
    planner: str = ""
    alignment_bytes: Fact | None = None
    code_bytes: Fact | None = None
    state_bytes: Fact | None = None
    table_bytes_per_node: Fact | None = None
    table_bytes_per_tensor: Fact | None = None
    transfer_bandwidth_byte_per_s: Fact | None = None
    transfer_latency_s: Fact | None = None
    computes: dict[str, str] = {}
    threads: int | None = None
    note: str = ""


class Rate(Strict, frozen=True):
    """How fast kernels of one class run: one of these. `mac_per_cycle` is of one core; `fraction_of_peak` of the dense
    peak for the element type; classes without MACs state `op_per_s` or `op_per_cycle` (operations, as `ops` counts
    them, or elements written where an operator has none). `per_output_cycles` is what every element written costs
    beside (requantization, loop overhead)."""

    mac_per_cycle: Fact | None = None
    mac_per_s: Fact | None = None
    fraction_of_peak: Fact | None = None
    op_per_cycle: Fact | None = None
    op_per_s: Fact | None = None
    per_output_cycles: Fact | None = None


class KernelCost(Strict, frozen=True):
    """Seconds of the kernels of one kind (`effaudit.estimate.kinds`), as a sum over what they have of each term.

    `launch_s` is of a launch. `mac_s` of a multiply-accumulate, `load_s` of one over the columns worked on together
    (operands are loaded again for every group of them), `op_s` of another operation, where there are no MACs. `fed_s`
    and `output_s` are of an element read and written, `scratch_s` of one that is written and read again inside (im2col,
    col2im), `run_s` of a stretch of memory that is written at a time. `batch_s` is of a product made by itself, or of a
    tensor that is joined or cut off; `step_s` of a step of a recurrence. `weight_byte_s` is of a byte of weights
    wherever it lies, `near_weight_byte_s` of one that is not in the cache of the cores at work, `far_weight_byte_s`,
    beside that, of one that is in no cache; `near_byte_s` and `far_byte_s` are the same of activations.

    What is not stated costs nothing. `rows_count` is the number of measured kernels it was fitted to.
    """

    kind: str
    launch_s: Fact | None = None
    mac_s: Fact | None = None
    load_s: Fact | None = None
    op_s: Fact | None = None
    fed_s: Fact | None = None
    output_s: Fact | None = None
    run_s: Fact | None = None
    scratch_s: Fact | None = None
    batch_s: Fact | None = None
    step_s: Fact | None = None
    weight_byte_s: Fact | None = None
    near_weight_byte_s: Fact | None = None
    far_weight_byte_s: Fact | None = None
    near_byte_s: Fact | None = None
    far_byte_s: Fact | None = None
    rows_count: Fact | None = None


class PredictionError(Strict, frozen=True):
    """How far estimates were from measurements that they had not seen (leave one board out). `median_ratio` is the
    median of |estimate / measurement - 1|.

    `interval_factor`: measurements lie between estimate / factor and estimate x factor as often as `coverage_ratio`
    says.
    """

    median_ratio: Fact
    interval_factor: Fact
    coverage_ratio: Fact
    rows_count: Fact
    dataset: str
    date: str


class Performance(Strict, frozen=True):
    """How fast one runtime runs one element type on one engine: latency = per inference + the sum over kernels of
    max(MACs / rate, bytes / bandwidth) + per kernel.

    `runtime` "" is any runtime that has no entry of its own. `rates` by class; `bandwidth_fraction` is the part of each
    memory's bandwidth that kernels get. `activation_fraction` is the part of the activations' bytes that cross the
    interface of the memory they lie in: the rest stays in caches or in a scratchpad between kernels; 1 where none is
    stated. Kernels without MACs of the classes `fused` are part of the kernel before or after them: nothing is launched
    for them, and of their bytes only those of a second operand are moved.

    `costs`, of a host that was measured kernel by kernel, go before `rates`: the seconds of a kernel are then a sum,
    and latency = per inference + the sum over kernels + per kernel of every node, those that only rename bytes
    included."""

    engine: str
    dtype: str
    runtime: str = ""
    version: str = ""
    rates: dict[OpClass, Rate] = {}
    costs: tuple[KernelCost, ...] = ()
    fused: tuple[OpClass, ...] = ()
    bandwidth_fraction: Fact | None = None
    activation_fraction: Fact | None = None
    per_inference_s: Fact | None = None
    per_inference_cycles: Fact | None = None
    per_kernel_s: Fact | None = None
    per_kernel_cycles: Fact | None = None
    prediction_error: PredictionError | None = None
    note: str = ""


class Energy(Strict, frozen=True):
    """Energies and powers. `system_pj_per_mac` is measured at the rail of the whole board, memory and control included;
    `mac_pj` and `op_pj` are of the operation alone (a table of operations: relative what-ifs only)."""

    system_pj_per_mac: dict[str, Fact] = {}
    mac_pj: dict[str, Fact] = {}
    op_pj: dict[str, Fact] = {}
    idle_w: Fact | None = None
    active_w: Fact | None = None
    tdp_w: Fact | None = None
    note: str = ""


class Battery(Strict, frozen=True):
    """A battery, as sold: capacity and voltage."""

    capacity_mah: Fact
    voltage_v: Fact


class Device(Strict, frozen=True):
    """A device. `name` is `vendor-part`; `source` and `status` are those of every number that states none of its own.
    `extends` names the profile that this one completes; one that is `abstract` is only there to be extended. `batch` is
    a deployment fact: a leading batch dim that the model leaves open counts as given."""

    schema: Literal["effaudit.device/1"]
    name: str
    title: str
    kind: Kind = msgspec.field(name="class")
    vendor: str = ""
    part: str = ""
    extends: str = ""
    abstract: bool = False
    aliases: tuple[str, ...] = ()
    sources: dict[str, Source] = {}
    source: str = ""
    status: str = ""
    batch: int | None = None
    engines: tuple[Engine, ...] = ()
    memories: tuple[Memory, ...] = ()
    reserved: tuple[Reserved, ...] = ()
    runtimes: tuple[DeviceRuntime, ...] = ()
    performance: tuple[Performance, ...] = ()
    energy: Energy | None = None
    battery: Battery | None = None
    notes: tuple[str, ...] = ()
