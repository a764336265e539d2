"""Recurrent layers: their hidden axes feed themselves through packed gates, which nobody takes apart here."""

from __future__ import annotations

from effaudit.axes._registry import couples
from effaudit.axes.call import Call
from effaudit.axes.terms import unify


@couples("LSTM", "GRU", "RNN")
def recurrent(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__LSTM.html: only the axis it reads may change"""
    x, w = call.axes(0), call.axes(1)
    unify(x[-1], w[-1])
    why = f"the hidden axis of {call.node.op} feeds itself through packed gates"
    call.fix((*x[:-1], *w[:-1]), why)
    for slot in range(2, len(call.node.inputs)):
        call.fix(call.axes(slot), why)
    for slot in range(len(call.node.outputs)):
        call.fix(call.out(slot), why)
