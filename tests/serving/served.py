"""Models under test at chosen sizes, and figures worked out by hand from what a decoder is made of."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from onnx import ModelProto, save_model

from effaudit.audited import examine
from effaudit.device.types import Device
from effaudit.serving.roles import roles
from effaudit.serving.serve import served
from effaudit.serving.sized import Sized
from effaudit.serving.types import Serving, ServingAsked
from effaudit.views.kv_cache import kv_cache


class Config(NamedTuple):
    """A decoder of sample_models/decoders.py: Llama with untied embeddings, no biases."""

    layers: int
    d: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    bytes: int

    @property
    def head(self) -> int:
        return self.d // self.heads

    @property
    def layer(self) -> int:
        """Weights of the products of one layer."""
        return 2 * self.d * self.d + 2 * self.d * self.kv_heads * self.head + 3 * self.d * self.ffn

    @property
    def params(self) -> int:
        """With two norms per layer and one at the end."""
        return self.layers * (self.layer + 2 * self.d) + 2 * self.vocab * self.d + self.d

    @property
    def token(self) -> int:
        """Bytes of keys and values of one token: 2 x layers x key heads x head size x bytes."""
        return 2 * self.layers * self.kv_heads * self.head * self.bytes

    def macs(self, batch: int, new: int, context: int) -> int:
        """One run: every weight once per token but the table's, scores and values of every query with every key; and
        the angles of the rotary embedding are no product."""
        linear = self.layers * self.layer + self.d * self.vocab
        return batch * new * (linear + self.layers * 2 * context * self.d)


GQA = Config(2, 64, 4, 2, 172, 512, 4)
LLAMA_7B = Config(32, 4096, 32, 32, 11008, 32000, 2)
SAMPLES = {"sample:decoder-gqa": GQA, "sample:decoder-7b": LLAMA_7B}


def saved(model: ModelProto, folder: Path) -> str:
    """The path of a model in a folder."""
    save_model(model, folder / "model.onnx")
    return str(folder / "model.onnx")


def asked(name: str, device: Device, **options: object) -> Serving:
    """A model on the first runtime of a device."""
    wanted = ServingAsked(**options)  # type: ignore[arg-type]
    return served(examine(name, wanted.given), wanted, device, device.runtimes[0])


def sized(name: str, device: Device, **options: object) -> Sized:
    """A model whose runs can be asked for one by one."""
    wanted = ServingAsked(**options)  # type: ignore[arg-type]
    audited = examine(name, wanted.given)
    cache = kv_cache(audited)
    found = roles(audited, cache, wanted.given)
    return Sized(audited, found, cache, wanted, device, device.runtimes[0], None)
