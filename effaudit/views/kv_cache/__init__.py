"""What a model keeps of its keys and values from one step to the next.

`operators` says where fused operators take and hand back a cache, `trace` follows the operands of the others back to
the model's inputs, `slots` has both for one layer; `layout` reads a cache tensor's axes, `uncached` says what a layer
without one would keep, `named` finds by name what structure does not tell; `layers` and `view` put it together.
"""

from effaudit.views.kv_cache.types import CacheTensor, KVCache, KVLayer
from effaudit.views.kv_cache.view import kv_cache

__all__ = ["CacheTensor", "KVCache", "KVLayer", "kv_cache"]
