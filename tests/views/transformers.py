"""Transformer layers in the spellings that the transformer view must see through."""

from __future__ import annotations

from collections.abc import Callable

from onnx import ModelProto, helper

from tests.examples.blocks import attention_products, feed_forward, self_attention
from tests.examples.graphs import INT64, Net

D, HEADS, TOKENS = 48, 4, 20
Attention = Callable[[Net, str, int], str]


def finished(net: Net, *outputs: str) -> ModelProto:
    """The model, with the operator sets that fused operators need."""
    model = net.model(*outputs)
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)])
    return model


def post_norm(attend: Attention, layers: int, d: int, heads: int, n: int) -> ModelProto:
    """A stack after https://arxiv.org/abs/1810.04805, its attention spelled by `attend` up to the output projection."""
    net = Net()
    ids = net.input(1, n, dtype=INT64)
    x = net.layer_norm(net.node("Gather", [net.weight(1000, d), ids], (1, n, d), axis=0))
    for _ in range(layers):
        y = net.linear(attend(net, x, heads), d, bias=True)
        x = net.layer_norm(net.add(y, x))
        x = net.layer_norm(net.add(feed_forward(net, x, bias=True), x))
    return finished(net)


def projected(net: Net, x: str) -> list[str]:
    return [net.linear(x, net.shape[x][-1], bias=True) for _ in "qkv"]


def onnx_attention(net: Net, x: str, heads: int) -> str:
    return net.node("Attention", projected(net, x), net.shape[x], q_num_heads=heads, kv_num_heads=heads)


def microsoft_attention(net: Net, x: str, heads: int) -> str:
    d = net.shape[x][-1]
    inputs = [x, net.weight(d, 3 * d), net.weight(3 * d)]
    return net.node("Attention", inputs, net.shape[x], domain="com.microsoft", num_heads=heads)


def multi_head(net: Net, x: str, heads: int) -> str:
    return net.node("MultiHeadAttention", projected(net, x), net.shape[x], domain="com.microsoft", num_heads=heads)


def packed(net: Net, x: str, heads: int) -> str:
    """One projection for queries, keys and values, cut into three."""
    b, n, d = net.shape[x]
    y = net.reshape(net.linear(x, 3 * d, bias=True), b, n, 3, heads, d // heads)
    y = net.transpose(y, 2, 0, 3, 1, 4)
    parts = [net.reshape(net.slice(y, 0, i, i + 1), b, heads, n, d // heads) for i in range(3)]
    y = attention_products(net, *parts)
    return net.reshape(net.transpose(y, 0, 2, 1, 3), b, n, d)


def keys_first(net: Net, x: str, heads: int) -> str:
    """Scores the other way around: K Q^T, the softmax over the rows, probabilities turned before they weigh."""
    b, n, d = net.shape[x]
    q, k, v = (
        net.transpose(net.reshape(y, b, n, heads, d // heads), 0, 2, 1, 3) for y in projected(net, net.mul(x, x))
    )
    turned = net.unary("Softmax", net.matmul(k, net.transpose(q, 0, 1, 3, 2)), axis=-2)
    y = net.matmul(net.transpose(turned, 0, 1, 3, 2), v)
    return net.reshape(net.transpose(y, 0, 2, 1, 3), b, n, d)


def exponentials(net: Net, x: str, heads: int) -> str:
    """The softmax spelled as exp(x) / sum(exp(x))."""
    b, n, d = net.shape[x]
    q, k, v = (net.transpose(net.reshape(y, b, n, heads, d // heads), 0, 2, 1, 3) for y in projected(net, x))
    e = net.unary("Exp", net.matmul(q, net.transpose(k, 0, 1, 3, 2)))
    total = net.node("ReduceSum", [e, net.constant([-1])], (*net.shape[e][:-1], 1), keepdims=1)
    y = net.matmul(net.node("Div", [e, total], net.shape[e]), v)
    return net.reshape(net.transpose(y, 0, 2, 1, 3), b, n, d)


def grouped(kv_heads: int) -> ModelProto:
    """A layer whose key heads are repeated by Expand, then SwiGLU; RMS norms spelled out."""
    net = Net()
    x = net.input(1, TOKENS, D)
    y, head = rms_norm(net, x), D // HEADS
    q = net.transpose(net.reshape(net.linear(y, D), 1, TOKENS, HEADS, head), 0, 2, 1, 3)
    k, v = (repeated(net, net.linear(y, kv_heads * head), kv_heads) for _ in "kv")
    y = net.transpose(attention_products(net, q, k, v), 0, 2, 1, 3)
    x = net.add(x, net.linear(net.reshape(y, 1, TOKENS, D), D))
    y = rms_norm(net, x)
    y = net.mul(net.silu(net.linear(y, 3 * D)), net.linear(y, 3 * D))
    return finished(net, rms_norm(net, net.add(x, net.linear(y, D))))


def repeated(net: Net, x: str, kv_heads: int) -> str:
    head, times = D // HEADS, HEADS // kv_heads
    y = net.transpose(net.reshape(x, 1, TOKENS, kv_heads, head), 0, 2, 1, 3)
    y = net.reshape(y, 1, kv_heads, 1, TOKENS, head)
    shape = (1, kv_heads, times, TOKENS, head)
    return net.reshape(net.node("Expand", [y, net.constant(shape)], shape), 1, HEADS, TOKENS, head)


def rms_norm(net: Net, x: str) -> str:
    shape = net.shape[x]
    mean = net.node("ReduceMean", [net.mul(x, x), net.constant([-1])], (*shape[:-1], 1), keepdims=1)
    root = net.unary("Sqrt", net.node("Add", [mean, net.scalar(1e-6)], net.shape[mean]))
    return net.node("Mul", [net.node("Div", [x, root], shape), net.weight(shape[-1])], shape)


def parallel() -> ModelProto:
    """x + attention(norm(x)) + feed-forward(norm(x)), after https://arxiv.org/abs/2204.02311."""
    net = Net()
    x = net.input(1, TOKENS, D)
    for _ in range(2):
        y = net.layer_norm(x)
        x = net.add(x, net.add(self_attention(net, y, HEADS), feed_forward(net, y)))
    return finished(net)


def encoder_decoder(source: int) -> ModelProto:
    """One encoder layer, then one decoder layer: self attention, cross attention, feed-forward."""
    net = Net()
    memory, x = net.input(1, source, D), net.input(1, TOKENS, D)
    memory = net.add(memory, self_attention(net, net.layer_norm(memory), HEADS))
    memory = net.layer_norm(net.add(memory, feed_forward(net, net.layer_norm(memory))))
    x = net.add(x, self_attention(net, net.layer_norm(x), HEADS))
    y = net.layer_norm(x)
    q, k, v = (
        net.transpose(net.reshape(net.linear(t, D), 1, net.shape[t][1], HEADS, D // HEADS), 0, 2, 1, 3)
        for t in (y, memory, memory)
    )
    y = net.transpose(attention_products(net, q, k, v), 0, 2, 1, 3)
    x = net.add(x, net.linear(net.reshape(y, 1, TOKENS, D), D))
    return finished(net, net.add(x, feed_forward(net, net.layer_norm(x))))


def experts() -> ModelProto:
    """A layer whose feed-forward part is a mixture of 8 experts, 2 of which run for every token."""
    net = Net()
    x = net.input(1, TOKENS, D)
    x = net.add(x, self_attention(net, net.layer_norm(x), HEADS))
    y = net.layer_norm(x)
    router = net.reshape(net.linear(y, 8), TOKENS, 8)
    weights = [net.weight(8, 2 * D, D), "", net.weight(8, D, 2 * D)]
    y = net.node("MoE", [y, router, *weights], net.shape[x], domain="com.microsoft", k=2, activation_type="relu")
    return finished(net, net.add(x, y))


def in_functions(layers: int) -> ModelProto:
    """Layers that are calls of one model-local function."""
    net = Net()
    x = net.input(1, TOKENS, D)
    y = net.layer_norm(x)
    x = net.add(x, self_attention(net, y, HEADS))
    x = net.add(x, feed_forward(net, net.layer_norm(x)))
    inner = finished(net)
    graph = inner.graph
    weights = [t.name for t in graph.initializer if t.dims and t.data_type != INT64]
    constants = [
        helper.make_node("Constant", [], [t.name], value=t) for t in graph.initializer if t.name not in weights
    ]
    body = [*constants, *graph.node]
    layer = helper.make_function(
        "local", "layer", ["x0", *weights], [graph.node[-1].output[0]], body, inner.opset_import
    )
    calls, tensors, x = [], [], "x0"
    for i in range(layers):
        names = []
        for tensor in graph.initializer:
            if tensor.name in weights:
                tensors.append(type(tensor)())
                tensors[-1].CopyFrom(tensor)
                tensors[-1].name = f"{tensor.name}_{i}"
                names.append(tensors[-1].name)
        calls.append(helper.make_node("layer", [x, *names], [f"y{i}"], domain="local"))
        x = f"y{i}"
    outer = helper.make_graph(calls, "calls", graph.input, [helper.make_empty_tensor_value_info(x)], tensors)
    opsets = [*inner.opset_import, helper.make_opsetid("local", 1)]
    return helper.make_model(outer, opset_imports=opsets, functions=[layer], ir_version=10)


def in_a_loop(times: int) -> ModelProto:
    """One layer with fixed weights, run over and over."""
    net = Net()
    x = net.input(1, TOKENS, D)
    y = net.add(x, self_attention(net, net.layer_norm(x), HEADS))
    y = net.add(y, feed_forward(net, net.layer_norm(y)))
    inner = finished(net, y)
    shape = [1, TOKENS, D]
    flags = [helper.make_tensor_value_info(n, t, []) for n, t in (("i", INT64), ("go", 9))]
    state = helper.make_tensor_value_info("x0", 1, shape)
    body_nodes = [*inner.graph.node, helper.make_node("Identity", ["go"], ["still"])]
    outs = [helper.make_tensor_value_info("still", 9, []), helper.make_tensor_value_info(y, 1, shape)]
    body = helper.make_graph(body_nodes, "body", [*flags, state], outs, inner.graph.initializer)
    count = helper.make_tensor("count", INT64, [], [times])
    loop = helper.make_node("Loop", ["count", "", "x"], ["z"], body=body)
    graph = helper.make_graph(
        [loop],
        "loop",
        [helper.make_tensor_value_info("x", 1, shape)],
        [helper.make_tensor_value_info("z", 1, shape)],
        [count],
    )
    return helper.make_model(graph, opset_imports=inner.opset_import, ir_version=10)


def in_branches() -> ModelProto:
    """A layer in one branch of an If, nothing in the other."""
    net = Net()
    x = net.input(1, TOKENS, D)
    inner = finished(net, net.add(x, self_attention(net, x, HEADS)))
    shape = [1, TOKENS, D]
    out = helper.make_tensor_value_info(inner.graph.output[0].name, 1, shape)
    then = helper.make_graph(inner.graph.node, "then", [], [out], inner.graph.initializer)
    same = helper.make_graph(
        [helper.make_node("Identity", ["x0"], ["same"])], "else", [], [helper.make_tensor_value_info("same", 1, shape)]
    )
    choice = helper.make_node("If", ["go"], ["z"], then_branch=then, else_branch=same)
    inputs = [helper.make_tensor_value_info("x0", 1, shape), helper.make_tensor_value_info("go", 9, [])]
    graph = helper.make_graph([choice], "if", inputs, [helper.make_tensor_value_info("z", 1, shape)])
    return helper.make_model(graph, opset_imports=inner.opset_import, ir_version=10)


def grouped_query(kv_heads: int, past: int) -> ModelProto:
    """com.microsoft GroupQueryAttention over a cache of `past` tokens that the new ones are written into."""
    net = Net()
    x, head = net.input(1, TOKENS, D), D // HEADS
    caches = [net.input(1, kv_heads, past + TOKENS, head) for _ in "kv"]
    parts = [net.linear(x, D), net.linear(x, kv_heads * head), net.linear(x, kv_heads * head)]
    lengths = [net.constant([past + TOKENS - 1], "int32"), net.constant(past + TOKENS, "int32")]
    y = net.node(
        "GroupQueryAttention",
        [*parts, *caches, *lengths],
        net.shape[x],
        domain="com.microsoft",
        num_heads=HEADS,
        kv_num_heads=kv_heads,
    )
    return finished(net, net.add(x, net.linear(y, D)))


def valued(head: int, v_head: int) -> ModelProto:
    """com.microsoft Attention whose value heads are of another size than its key heads."""
    net = Net()
    x, width = net.input(2, TOKENS, D), HEADS * (2 * head + v_head)
    sizes = [HEADS * head, HEADS * head, HEADS * v_head]
    y = net.node(
        "Attention",
        [x, net.weight(D, width), net.weight(width)],
        (2, TOKENS, HEADS * v_head),
        domain="com.microsoft",
        num_heads=HEADS,
        qkv_hidden_sizes=sizes,
    )
    return finished(net, net.add(x, net.linear(y, D)))
