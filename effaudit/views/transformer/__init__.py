"""Transformers block by block: where attention is, what its parts cost, how an image became tokens.

`transformer` finds attention by the flow of data, whatever the nodes are called: `attention` finds the products around
every softmax, `residual` the branches x + f(x), `products` says which products with weights belong to which part,
`others` where every other node belongs; `sizes` reads tokens and heads off the shapes. The parts are a partition: they
add up to the model's totals.
"""

from effaudit.views.transformer.formulas import part_formulas
from effaudit.views.transformer.types import PARTS, Block, Part, Patches, Transformer
from effaudit.views.transformer.view import runs, transformer

__all__ = ["PARTS", "Block", "Part", "Patches", "Transformer", "part_formulas", "runs", "transformer"]
