"""Builds the sample models: `python sample_models/build.py [--out DIR] [--check] [NAME ...]`.

Needs numpy and onnx only and writes the same bytes every time; `--check` rebuilds and compares with the
files in DIR. alexnet, resnet50, mobilenetv2, bert-base and decoder-7b are graphs without their weights: the
`NAME.weights` they point to is not shipped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cnns
import dead
import decoders
import encoders
import recurrent
import tiny
from onnx import ModelProto

HERE = Path(__file__).parent

SAMPLES: dict[str, Callable[[], ModelProto]] = {
    "ad": tiny.ad,
    "ic": tiny.ic,
    "kws": tiny.kws,
    "vww": tiny.vww,
    **{f"{name}-int8": partial(tiny.int8, name) for name in tiny.FEEDS},
    "decoder-gqa": decoders.decoder_gqa,
    "lstm": recurrent.lstm,
    "unet": cnns.unet,
    "control-flow": recurrent.control_flow,
    "dynamic": encoders.dynamic,
    "dead-channels": dead.dead_channels,
    "alexnet": cnns.alexnet,
    "resnet50": cnns.resnet50,
    "mobilenetv2": cnns.mobilenetv2,
    "bert-base": encoders.bert_base,
    "decoder-7b": decoders.decoder_7b,
}


def content(name: str) -> bytes:
    return bytes(SAMPLES[name]().SerializeToString(deterministic=True))


def build(out: Path, names: Sequence[str]) -> int:
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        data = content(name)
        (out / f"{name}.onnx").write_bytes(data)
        print(f"{name}.onnx  {len(data):,} bytes")
    return 0


def check(out: Path, names: Sequence[str]) -> int:
    """0 when every file is what this program writes."""
    wrong = []
    for name in names:
        path = out / f"{name}.onnx"
        if not path.is_file():
            wrong.append(f"{path}: missing")
        elif path.read_bytes() != content(name):
            wrong.append(f"{path}: differs from what build.py writes")
    strangers = {p.stem for p in out.glob("*.onnx")} - set(SAMPLES)
    wrong += [f"{out / name}.onnx: not a sample of build.py" for name in sorted(strangers)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the sample models.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="samples to build (default: all)")
    parser.add_argument(
        "--out", type=Path, default=HERE, metavar="DIR", help="where the files are (default: beside this)"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a file is not what would be written"
    )
    args = parser.parse_args(argv)
    unknown = sorted(set(args.names) - set(SAMPLES))
    if unknown:
        parser.error(f"no such sample: {', '.join(unknown)} (there are: {', '.join(SAMPLES)})")
    return (check if args.check else build)(args.out, args.names or list(SAMPLES))


if __name__ == "__main__":
    sys.exit(main())
