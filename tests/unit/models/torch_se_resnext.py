"""SE-ResNeXt50-32x4d written down in PyTorch, whose paddings ours has to reproduce."""

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, before: int, inner: int, after: int, stride: int, *, project: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(before, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, stride, padding=1, groups=32, bias=False),
            nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, after, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(after, after // 16, 1), nn.ReLU(),
            nn.Conv2d(after // 16, after, 1), nn.Sigmoid(),
        )  # fmt: skip
        self.shortcut = nn.Sequential(
            *([nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)] * project)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.main(x)
        return torch.relu(y * self.weigh(y) + self.shortcut(x))


def network() -> nn.Module:
    """[n, 3, h, w] to logits [n, 1]."""
    layers = [
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
    ]  # fmt: skip
    before = 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        inner, after = 128 * 2**stage, 256 * 2**stage
        for block in range(depth):
            stride = 2 if block == 0 and stage > 0 else 1
            layers.append(Block(before, inner, after, stride, project=block == 0))
            before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1))


def load(model: nn.Module, arrays: dict[str, object]) -> None:
    """Take over our weights by their names."""

    def convolution(layer: nn.Module, name: str) -> None:
        layer.weight.data = torch.tensor(arrays[f"{name}/kernel"]).permute(3, 2, 0, 1)
        if layer.bias is not None:
            layer.bias.data = torch.tensor(arrays[f"{name}/bias"])

    def norm(layer: nn.Module, name: str) -> None:
        layer.weight.data = torch.tensor(arrays[f"{name}/gamma"])
        layer.bias.data = torch.tensor(arrays[f"{name}/beta"])
        layer.running_mean.data = torch.tensor(arrays[f"{name}/moving_mean"])
        layer.running_var.data = torch.tensor(arrays[f"{name}/moving_variance"])

    def both(layers: nn.Module, at: int, name: str) -> None:
        convolution(layers[at], f"{name}_conv")
        norm(layers[at + 1], f"{name}_bn")

    both(model, 0, "stem")
    names = [f"stage{s}_block{b}" for s, n in enumerate((3, 4, 6, 3), 1) for b in range(1, n + 1)]
    blocks = [layer for layer in model if isinstance(layer, Block)]
    for name, block in zip(names, blocks, strict=True):
        for number in (1, 2, 3):
            both(block.main, 3 * (number - 1), f"{name}_{number}")
        convolution(block.weigh[1], f"{name}_se_squeeze")
        convolution(block.weigh[3], f"{name}_se_excite")
        if len(block.shortcut):
            both(block.shortcut, 0, f"{name}_0")
    model[-1].weight.data = torch.tensor(arrays["logits/kernel"]).T
    model[-1].bias.data = torch.tensor(arrays["logits/bias"])
