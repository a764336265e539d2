"""Parameters of samples, added up by hand."""

from __future__ import annotations

from effaudit.report import audit


def test_lstm() -> None:
    """An embedding, two bidirectional layers of four gates with two biases each, and a tagger. The number that the
    initial states are filled with is none."""
    embedding, tagger = 800 * 32, 96 * 17 + 17
    layers = [2 * (4 * 48 * (inputs + 48) + 2 * 4 * 48) for inputs in (32, 96)]
    assert audit("sample:lstm").totals.params == embedding + sum(layers) + tagger == 114_801
