"""The protobuf classes of ONNX, from the installed onnx package but without importing it.

`import onnx` loads its C++ library and numpy (about 200 ms); the generated schema module alone takes 20 ms.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def schema() -> ModuleType:
    """The generated module `onnx.onnx_ml_pb2`. Raises ImportError where onnx is not installed."""
    loaded = sys.modules.get("onnx.onnx_ml_pb2")
    if loaded is not None:
        return loaded
    package = importlib.util.find_spec("onnx")
    if package is None or not package.submodule_search_locations:
        raise ImportError("the onnx package is not installed; reinstall effaudit")
    path = Path(package.submodule_search_locations[0]) / "onnx_ml_pb2.py"
    spec = importlib.util.spec_from_file_location("effaudit.load._onnx_ml_pb2", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded; reinstall onnx")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
