"""The element types that arguments get, against the schemas of onnx and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from onnx import defs
from onnxruntime.capi import onnxruntime_pybind11_state as state

from effaudit.errors import UsageError
from effaudit.explain.element_types import default_encoding, fixed_encoding
from effaudit.explain.operator import calculate_operator
from effaudit.explain.takes import names_of
from effaudit.ops._registry import load_families, registered

load_families()
NAMES = {"float32": "float", "float64": "double"}
QUANTIZED = {"int8", "uint8", "int16", "uint16"}  # that one has to be said, as `:int8`


def formal(domain: str) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """(operator, input as the rule names it, the schema's type variable, the element types it stands for)."""
    schemas = {s.name: s for s in (state.get_all_operator_schema() if domain else defs.get_all_schemas())}
    wanted = "com.microsoft" if domain else ""
    for (of, op), rules in sorted(registered().items()):
        schema = schemas.get(op)
        if of != domain or schema is None or schema.domain != wanted:
            continue
        allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
        for name, given in zip(names_of(rules).inputs, schema.inputs, strict=False):
            variable = given.typeStr if hasattr(given, "typeStr") else given.type_str
            types = {t.removeprefix("optional(") for t in allowed.get(variable, [variable])}
            numeric = {t[7:].rstrip(")") for t in types if t.startswith("tensor(")} - {"string"}
            if numeric:
                yield op, name, variable, frozenset(numeric)


STANDARD = list(formal(""))
MICROSOFT = list(formal("com.microsoft"))


def test_the_schemas_were_read() -> None:
    assert len(STANDARD) > 300 and len(MICROSOFT) > 300


@pytest.mark.parametrize(("op", "name", "variable", "types"), STANDARD, ids=lambda x: x if isinstance(x, str) else "")
def test_every_standard_input_has_a_type_its_schema_allows(
    op: str, name: str, variable: str, types: frozenset[str]
) -> None:
    dtype = default_encoding("", op, name).dtype
    assert NAMES.get(dtype, dtype) in types


def test_inputs_of_whole_numbers_in_com_microsoft() -> None:
    """Codes aside, which need a suffix: their width is the model's choice."""
    for op, name, _, types in MICROSOFT:
        if not any("float" in t or t == "double" for t in types) and not types & QUANTIZED:
            dtype = default_encoding("com.microsoft", op, name).dtype
            assert dtype in types, f"{op}.{name}: {dtype} where {sorted(types)} are allowed"


def test_inputs_that_are_always_floats() -> None:
    """Those with a type of their own: an input that shares the first one's takes that."""
    seen = 0
    for domain, every in (("", STANDARD), ("com.microsoft", MICROSOFT)):
        lead: dict[str, str] = {}
        for op, name, variable, types in every:
            first = lead.setdefault(op, variable)
            if variable != first and types <= {"float", "double", "float16", "bfloat16"} and "float" in types:
                if variable.startswith("tensor(float"):
                    seen += 1
                    found = fixed_encoding(domain, op, name)
                    assert found is None or found.dtype == "float32", f"{op}.{name}"
    assert seen > 20
    for name in ("scales", "roi"):
        found = fixed_encoding("", "Resize", name)
        assert found is not None and found.dtype == "float32"


def types_of(line: str) -> dict[str, str]:
    op, *rest = line.split()
    answer = calculate_operator(op, dict(item.split("=", 1) for item in rest))
    return {tensor.name: tensor.dtype for tensor in answer.inputs}


@pytest.mark.parametrize(
    ("line", "name", "dtype"),
    [
        ("Resize x=1x3x8x8 scales=[1,1,2,2]", "scales", "float32"),
        ("Resize x=1x3x8x8:float16 scales=[1,1,2,2]", "scales", "float32"),
        ("Resize x=1x3x8x8 sizes=[1,3,16,16]", "sizes", "int64"),
        ("Resize x=1x3x8x8 roi=[0,0,0,0,1,1,1,1] scales=[1,1,2,2]", "roi", "float32"),
        ("Clip input=1x8 min=0:value max=6:value", "max", "float32"),
        ("Clip input=1x8:float16 min=0:value max=6:value", "min", "float16"),
        ("Clip input=1x8:int8 min=0:value", "min", "int8"),
        ("Clip input=1x8:float16 min=0:value:float32", "min", "float32"),
        ("Pad data=2x2:float16 pads=[0,1,0,1] constant_value=1:value", "constant_value", "float16"),
        ("Add a=1x3 b=[1,2,3]", "b", "float32"),
        ("Add a=[4,5,6] b=[1,2,3]", "a", "int64"),
        ("Where condition=1x3 x=1x3:float16 y=[0,0,0]", "y", "float16"),
        ("Range start=0:value limit=8:value delta=2:value", "start", "int64"),
        ("Range start=0:value limit=1:value delta=0.5:value", "start", "float32"),
        ("Gather data=[1,3,224,224] indices=[2,3]", "data", "int64"),
        ("Attention q=1x2x4x8 k=1x2x4x8 v=1x2x4x8", "k", "float32"),
        ("And a=1x8 b=1x8", "a", "bool"),
        ("TopK x=1x8 k=[3]", "k", "int64"),
        ("com.microsoft::GroupQueryAttention query=2x3x96 seqlens_k=[2,2] total_sequence_length=3:value num_heads=8"
         " kv_num_heads=2", "seqlens_k", "int32"),
    ],
)  # fmt: skip
def test_values_take_the_type_the_operator_wants(line: str, name: str, dtype: str) -> None:
    assert types_of(line)[name] == dtype


@pytest.mark.parametrize("line", ["Clip input=1x8:int8 min=0.5:value", "Reshape data=2x3 shape=[1.5,-1]"])
def test_values_that_are_none_of_the_type(line: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be int(8|64) values"):
        types_of(line)


def test_the_bytes_of_logic() -> None:
    """A bool is a byte: two inputs of 8 and an output of 8."""
    answer = calculate_operator("And", {"shape": "1x8"})
    assert (answer.read_bytes, answer.write_bytes) == (16, 8)
