"""What executes a model within ONNX Runtime: the names of providers, and which package brings each.

https://onnxruntime.ai/docs/execution-providers/
"""

from __future__ import annotations

from typing import Final

from effaudit.run.timed_types import Provider

# the provider as ONNX Runtime names it, and the package with it, or what else is needed
PROVIDERS: Final[dict[Provider, tuple[str, str]]] = {
    "CPU": ("CPUExecutionProvider", "pip install onnxruntime"),
    "CUDA": ("CUDAExecutionProvider", "pip install onnxruntime-gpu, and an NVIDIA GPU with CUDA and cuDNN"),
    "TensorRT": ("TensorrtExecutionProvider", "pip install onnxruntime-gpu, and an NVIDIA GPU with TensorRT"),
    "DirectML": ("DmlExecutionProvider", "pip install onnxruntime-directml, on Windows"),
    "CoreML": ("CoreMLExecutionProvider", "pip install onnxruntime, on macOS"),
    "OpenVINO": ("OpenVINOExecutionProvider", "pip install onnxruntime-openvino"),
    "ROCm": ("ROCMExecutionProvider", "pip install onnxruntime-rocm, and an AMD GPU with ROCm"),
    "QNN": ("QNNExecutionProvider", "pip install onnxruntime-qnn, on a Qualcomm NPU"),
    "XNNPACK": ("XnnpackExecutionProvider", "an ONNX Runtime built with --use_xnnpack"),
}


def runtime_name(provider: Provider) -> str:
    """As ONNX Runtime names it."""
    return PROVIDERS[provider][0]


def provider_line(message: str) -> str:
    """What the process said of a provider, "absent" or "unused", its name and those that there are, as a line."""
    how, wanted, *others = message.split()
    short, needs = next(((key, needs) for key, (name, needs) in PROVIDERS.items() if name == wanted), (wanted, ""))
    there = ", ".join(name.removesuffix("ExecutionProvider") for name in others) or "none"
    if how == "absent":
        return f"this ONNX Runtime has no provider {short} (it has {there}); needed: {needs}"
    return f"ONNX Runtime could not start its provider {short} and fell back to {there}; needed: {needs}"
