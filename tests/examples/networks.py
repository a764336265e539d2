"""Published networks, layer by layer, at one image."""

from __future__ import annotations

from math import ceil

from onnx import ModelProto

from .graphs import Net

# ---- AlexNet: Krizhevsky et al. 2012, two groups, 224 px with 2 of padding; no local response norms
# kernel, stride, padding, groups, output channels; 0 output channels: a max pool
ALEXNET = {
    "conv1": (11, 4, 2, 1, 96),
    "pool1": (3, 2, 0, 1, 0),
    "conv2": (5, 1, 2, 2, 256),
    "pool2": (3, 2, 0, 1, 0),
    "conv3": (3, 1, 1, 1, 384),
    "conv4": (3, 1, 1, 2, 384),
    "conv5": (3, 1, 1, 2, 256),
    "pool5": (3, 2, 0, 1, 0),
}


def alexnet() -> ModelProto:
    """Weights alone: no biases, no activation functions."""
    net = Net()
    x = net.input(1, 3, 224, 224)
    for name, (k, s, p, g, cout) in ALEXNET.items():
        x = net.conv(x, cout, k, s, p, g, name=name) if cout else net.pool(x, k, s, p, name=name)
    x = net.flatten(x)
    for name, features in (("fc1", 4096), ("fc2", 4096), ("fc3", 1000)):
        x = net.linear(x, features, name=name)
    return net.model(x)


# ---- VGG-16: Simonyan and Zisserman 2014
VGG16 = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]


def vgg16() -> ModelProto:
    net = Net()
    x = net.input(1, 3, 224, 224)
    for channels, repeats in VGG16:
        for _ in range(repeats):
            x = net.relu(net.conv(x, channels, 3, bias=True))
        x = net.pool(x, 2, 2)
    x = net.flatten(x)
    for features in (4096, 4096):
        x = net.relu(net.linear(x, features, bias=True))
    return net.model(net.linear(x, 1000, bias=True))


# ---- ResNet with bottlenecks: He et al. 2015, stride on the 3x3 as torchvision has it
def resnet(repeats: tuple[int, ...]) -> ModelProto:
    net = Net()
    x = net.input(1, 3, 224, 224)
    x = net.relu(net.batch_norm(net.conv(x, 64, 7, 2, 3)))
    x = net.pool(x, 3, 2, 1)
    for stage, count in enumerate(repeats):
        for i in range(count):
            x = bottleneck(net, x, 64 * 2**stage, 2 if stage and not i else 1)
    return net.model(net.linear(net.global_pool(x), 1000, bias=True))


def bottleneck(net: Net, x: str, width: int, stride: int = 1) -> str:
    y = net.relu(net.batch_norm(net.conv(x, width, 1, name="reduce")))
    y = net.relu(net.batch_norm(net.conv(y, width, 3, stride, 1, name="spatial")))
    y = net.batch_norm(net.conv(y, 4 * width, 1, name="expand"))
    if net.shape[x][1] != 4 * width:
        x = net.batch_norm(net.conv(x, 4 * width, 1, stride, 0, name="projection"))
    return net.relu(net.add(y, x))


# ---- EfficientNet: Tan and Le 2019, as in torchvision
# expansion, kernel, stride of the first, output channels, repeats
EFFICIENTNET = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
]


def efficientnet(width: float, depth: float, side: int) -> ModelProto:
    net = Net()
    x = net.input(1, 3, side, side)
    x = net.silu(net.batch_norm(net.conv(x, _eights(32 * width), 3, 2, 1)))
    for expand, k, first_stride, cout, repeats in EFFICIENTNET:
        for i in range(ceil(repeats * depth)):
            x = _mbconv(net, x, expand, k, 1 if i else first_stride, _eights(cout * width))
    x = net.silu(net.batch_norm(net.conv(x, 4 * net.shape[x][1], 1)))
    return net.model(net.linear(net.global_pool(x), 1000, bias=True))


def _mbconv(net: Net, x: str, expand: int, k: int, stride: int, cout: int) -> str:
    cin = net.shape[x][1]
    hidden, y = _eights(cin * expand), x
    if hidden != cin:
        y = net.silu(net.batch_norm(net.conv(y, hidden, 1)))
    y = net.silu(net.batch_norm(net.conv(y, hidden, k, stride, (k - 1) // 2, hidden)))
    gate = net.node("GlobalAveragePool", [y], (1, hidden, 1, 1))
    gate = net.conv(net.silu(net.conv(gate, max(1, cin // 4), 1, bias=True)), hidden, 1, bias=True)
    y = net.mul(y, net.unary("Sigmoid", gate))
    y = net.batch_norm(net.conv(y, cout, 1))
    return net.add(y, x) if stride == 1 and cin == cout else y


def _eights(channels: float) -> int:
    """The nearest multiple of 8 that is not more than 10 % below."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near
