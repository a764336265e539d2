"""Audits graphs that builders make, each once."""

from __future__ import annotations

from hashlib import sha256

import pytest

import effaudit
from effaudit.report import ModelReport

from .example import Audited, Built


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("examples")
    done: dict[str, ModelReport] = {}

    def audit(graph: Built) -> ModelReport:
        if isinstance(graph, str):
            name = f"sample:{graph}"
        else:
            content = graph().SerializeToString(deterministic=True)
            path = folder / f"{sha256(content).hexdigest()}.onnx"
            path.write_bytes(content)
            name = str(path)
        if name not in done:
            done[name] = effaudit.audit(name)
            assert not done[name].unpriced
        return done[name]

    return audit
