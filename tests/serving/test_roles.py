"""Which dims are what: on samples, real exports, dims without names, and against what ONNX Runtime hands back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from onnx import ModelProto

from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.load import NOTHING_GIVEN, Given
from effaudit.serving.roles import encoder_missing, given_for, is_valid, roles
from effaudit.serving.types import Roles
from effaudit.views.kv_cache import kv_cache
from tests.corpus.score import folder
from tests.views import caches
from tests.views.test_kv_cache import RUNNABLE, run

from .devices import device
from .served import asked, saved

CORPUS = folder()
needs_corpus = pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")


def found_in(name: str, given: Given = NOTHING_GIVEN) -> tuple[Audited, Roles]:
    audited = examine(name, given)
    return audited, roles(audited, kv_cache(audited), given)


def named(found: Roles) -> dict[str, tuple[str, ...] | int | None]:
    """role -> its dims, or the size that is fixed."""
    return {row.role: row.dims or row.size for row in found.rows}


def with_dims(model: ModelProto, names: dict[str, str] | None) -> ModelProto:
    """The model with the dims of its inputs renamed, or without any names."""
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param and names is None:
                dim.ClearField("dim_param")
            elif dim.dim_param:
                dim.dim_param = (names or {})[dim.dim_param]
    return model


@pytest.mark.parametrize("name", ["decoder-gqa", "decoder-7b"])
def test_samples(name: str) -> None:
    _, found = found_in(f"sample:{name}")
    assert found.cached and named(found) == {
        "batch": ("batch",),
        "new": ("sequence_length",),
        "past": ("past_sequence_length",),
    }
    assert all(row.told for row in found.rows)


def test_a_total_length_with_a_name_of_its_own(tmp_path: Path) -> None:
    """As exporters for serving write it: the mask has a length of its own."""
    model = _with_mask("attention_mask", "total_length")
    _, found = found_in(saved(model, tmp_path))
    assert named(found) == {"batch": ("batch",), "new": ("new",), "past": ("past",), "total": ("total_length",)}


def test_a_length_that_only_trial_tells(tmp_path: Path) -> None:
    """Neither the dim nor the input says what it is; only past + new makes the mask fit the scores."""
    _, found = found_in(saved(_with_mask("m", "q7"), tmp_path))
    row = found.get("total")
    assert row is not None and row.dims == ("q7",) and "only choice" in row.told


def _with_mask(name: str, length: str) -> ModelProto:
    g = caches.Graph()
    x = g.input("x", ["batch", "new", 32])
    mask = g.input(name, ["batch", length], caches.FLOAT)
    past = [g.input(f"past_key_values.0.{p}", ["batch", 4, "past", 8]) for p in ("key", "value")]
    q, k, v = (g.split(g.linear(x, 32, 32), 4, 8) for _ in "qkv")
    k, v = (
        g.node("Concat", [old, new], g.output(f"present.0.{p}"), axis=2)
        for old, new, p in zip(past, (k, v), ("key", "value"), strict=True)
    )
    scores = g.node("MatMul", [q, g.node("Transpose", [k], perm=[0, 1, 3, 2])])
    scores = g.node("Add", [scores, g.node("Unsqueeze", [mask, g.ints(1, 2)])])
    y = g.node("MatMul", [g.node("Softmax", [scores], axis=-1), v])
    g.node("MatMul", [g.merge(y, 32), g.weight(32, 32)], g.output("y"))
    return g.model()


def test_dims_without_names(tmp_path: Path) -> None:
    """Every input then has dims of its own; all of a role are bound together."""
    audited, found = found_in(saved(with_dims(caches.decoder(layers=2), None), tmp_path))
    pasts = [f"past_key_values.{i}.{part}" for i in range(2) for part in ("key", "value")]
    assert named(found) == {
        "batch": (*(f"{p}[0]" for p in pasts), "x[0]"),
        "new": ("x[1]",),
        "past": tuple(f"{p}[2]" for p in pasts),
    }
    graph = examine(audited.name, given_for(found, NOTHING_GIVEN, 3, 2, 7)).graph
    assert is_valid(graph) and graph.values["present.1.key"].shape == (3, 2, 9, 8)


def test_names_that_say_nothing(tmp_path: Path) -> None:
    names = {"batch": "i", "new": "j", "past": "k"}
    _, found = found_in(saved(with_dims(caches.decoder(), names), tmp_path))
    assert named(found) == {"batch": ("i",), "new": ("j",), "past": ("k",)}


@pytest.mark.parametrize("kind", RUNNABLE)
def test_the_sizes_of_a_step_hand_back_a_cache_of_that_size(kind: str, tmp_path: Path) -> None:
    """ONNX Runtime, fed as the roles say, hands back as many bytes as the cache of past and new tokens shall have."""
    path = saved(RUNNABLE[kind][0](), tmp_path)
    _, found = found_in(path)
    fixed = found.size("batch") is not None
    batch, new, past = (1, 1, 63) if fixed else (2, 3 if found.open("new") else 1, 5)
    _, handed = run(examine(path, given_for(found, NOTHING_GIVEN, batch, new, past)))
    gpu = device(tmp_path)
    total = new + (past if found.cached else 0)
    served = asked(path, gpu, batch=batch, context=total)
    assert served.memory.cache.value == handed == batch * total * RUNNABLE[kind][1]


@needs_corpus
@pytest.mark.parametrize("name", ["gpt2_mini_past31.dynamo.op18", "gpt2_mini_past31.ts.op17"])
def test_a_real_decoder_with_fixed_sizes(name: str) -> None:
    assert CORPUS is not None
    _, found = found_in(str(CORPUS / "models" / f"{name}.onnx"))
    assert found.cached and named(found) == {"batch": 1, "new": 1, "past": 31}


@needs_corpus
def test_a_real_decoder_without_a_cache() -> None:
    assert CORPUS is not None
    models = CORPUS / "models"
    _, found = found_in(str(models / "gpt2_mini_64.dynamo.op18.dynseq.onnx"))
    assert not found.cached and named(found) == {"batch": 1, "new": ("s21",)}
    _, found = found_in(str(models / "gpt2_mini_64.dynamo.op18.onnx"))
    assert not found.cached and named(found) == {"batch": 1, "new": 64}


def test_what_is_given_stays(tmp_path: Path) -> None:
    given = Given({"past": 9})
    audited, found = found_in(saved(caches.decoder(), tmp_path), given)
    assert found.size("past") == 9 and given_for(found, given, 2, 1, 9).dims == {"batch": 2, "new": 1, "past": 9}
    assert audited.given == given


def test_the_length_of_an_encoder_is_asked_for(tmp_path: Path) -> None:
    path = saved(caches.seq_to_seq(), tmp_path)
    audited, found = found_in(path)
    assert found.get("encoder") is not None
    with pytest.raises(UsageError, match=r"--dim encoder_length=N$"):
        encoder_missing(found, audited.name)
    with pytest.raises(UsageError, match=r"--dim encoder_length=N$"):
        asked(path, device(tmp_path), context=100)
    served = asked(path, device(tmp_path), context=100, batch=3, given=Given({"encoder_length": 11}))
    assert served.memory.cross.value == 3 * 11 * 2 * 2 * 4 * 8 * 4


def test_what_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    """A tensor of open lengths that no operator ties to the others."""
    g = caches.Graph()
    x = g.input("x", ["batch", "new", 32])
    past = [g.input(f"past_key_values.0.{p}", ["batch", 4, "past", 8]) for p in ("key", "value")]
    other = g.input("extra", [1, 2, "zz", 3])
    q, k, v = (g.split(g.linear(x, 32, 32), 4, 8) for _ in "qkv")
    k, v = (
        g.node("Concat", [old, new], g.output(f"present.0.{p}"), axis=2)
        for old, new, p in zip(past, (k, v), ("key", "value"), strict=True)
    )
    y = g.merge(g.attend(q, k, v), 32)
    g.node("Add", [y, g.node("ReduceSum", [other], keepdims=0)], g.output("y"))
    with pytest.raises(UsageError, match=re.escape("is dim 'zz' (axis 2 of extra)?") + r"[^\n]+--dim zz=N$"):
        found_in(saved(g.model(), tmp_path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"context": 0}, "--context: 0"),
        ({"context": 8, "batch": 0}, "--batch-size: 0: expected a number of 1 to"),
        ({"context": 8, "prompt": 9}, "--prompt: 9 tokens are more than the context of 8"),
        ({}, "give --context N"),
        ({"context": 8, "kv_dtype": "fp15"}, "--kv-dtype"),
    ],
)
def test_what_is_asked_wrongly(options: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        asked("sample:decoder-gqa", device(tmp_path), **options)


def test_sizes_that_the_file_fixes(tmp_path: Path) -> None:
    path, gpu = saved(caches.static("ScatterND"), tmp_path), device(tmp_path)
    served = asked(path, gpu)
    assert (served.batch, served.context, served.prompt) == (1, 64, None)
    assert served.longest_context.limit == served.largest_batch.limit == "file"
    assert "1 new token a run" in served.why_no_prefill and served.memory.apart.value == 0
    for options in ({"context": 65}, {"batch": 2}):
        with pytest.raises(UsageError, match="fixes the"):
            asked(path, gpu, **options)


def test_a_model_without_attention(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no attention"):
        asked("sample:ic", device(tmp_path), context=8)
