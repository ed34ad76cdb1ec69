"""Small modules for capture: common ones, and ones whose names mislead whoever trusts them too far."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 8)

    def forward(self, x):
        return torch.softmax(self.fc2(self.act(self.fc1(x)) + 1.0), -1)


class Cnn(nn.Module):
    """BatchNorms that are folded into Convs, in place ReLUs, a residual."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        )
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.relu, self.head = nn.ReLU(inplace=True), nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 5))
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)

    def forward(self, x):
        x = self.stem(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.head(self.relu(x + y).mean((2, 3), keepdim=True))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, x):
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1)
        return self.out((scores @ v).permute(0, 2, 1, 3).reshape(x.shape))


class Block(nn.Module):
    def __init__(self, width=32, heads=4):
        super().__init__()
        self.attention, self.norm1, self.norm2 = Attention(width, heads), nn.LayerNorm(width), nn.LayerNorm(width)
        self.ff = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * width, width))

    def forward(self, x):
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.ff(x))


class Encoder(nn.Module):
    """Token ids, a table of positions, two blocks, a pooled output beside the sequence."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(50, 32), nn.Embedding(16, 32)
        self.layer, self.pooler = nn.ModuleList(Block() for _ in range(2)), nn.Linear(32, 32)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for layer in self.layer:
            x = layer(x)
        return {"last": x, "pooled": torch.tanh(self.pooler(x[:, 0]))}


class Swap(nn.Module):
    """Ends in a transposition of equal sizes, which the exporters may merge with the one behind it."""

    def forward(self, x):
        return (x * 2).transpose(-1, -2)


class Swaps(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.fc = Swap(), Swap(), nn.Linear(8, 8)

    def forward(self, x):
        y = self.one(x).permute(0, 2, 1)
        z = self.one(y).transpose(1, 2).transpose(1, 2)
        return self.fc(self.two(z).transpose(1, 2)), self.two(y)


class Shared(nn.Module):
    """One block called three times, a module with two outputs of one shape, one whose second output nobody reads."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 16)

        def forward(self, x):
            a, b = self.fc(x).chunk(2, -1)
            return torch.sigmoid(a), torch.tanh(b)

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.two, self.unread, self.fc_1, self.fc = Shared.Two(), Shared.Two(), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        x = self.block(self.block(self.block(x)))
        a, b = self.two(x)
        c, _ = self.unread(a * b)
        return self.fc(self.fc_1(self.fc(c)))


class Norms(nn.Module):
    """BatchNorms that are functions, that stand behind two readers, before a Conv, behind a Linear."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.bn2, self.bn3, self.bn4 = nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.BatchNorm1d(4)
        self.fc = nn.Linear(4, 4)
        self.register_buffer("mean", torch.randn(4))
        self.register_buffer("var", torch.rand(4) + 0.5)
        for module in (self.bn2, self.bn3, self.bn4):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)

    def forward(self, x):
        x = F.batch_norm(self.conv1(x), self.mean, self.var)
        y = self.conv2(x)
        x = self.bn2(y) + y
        return self.bn4(self.fc(self.conv3(self.bn3(x)).amax((2, 3))))


class Twice(nn.Module):
    """The same thing computed twice, in two modules: one of them may be merged away."""

    class Half(nn.Module):
        def forward(self, x):
            return torch.sigmoid(x) * 0.5

    def __init__(self):
        super().__init__()
        self.left, self.right, self.fc = Twice.Half(), Twice.Half(), nn.Linear(8, 8)

    def forward(self, x):
        left, right = self.left(x), self.right(x)
        return self.fc(left + right) - torch.sigmoid(x) / torch.sqrt(torch.exp(x) + 1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


class Keyed(nn.Module):
    """Inputs by keyword, in another order than forward's, and a mask of truth values."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x, mask=None, scale=None):
        x = self.fc(x).masked_fill(mask, -1e4)
        return torch.softmax(x * scale, -1)


def each():
    """By name (module, args, kwargs, names of outputs)."""
    torch.manual_seed(0)
    ids, square = torch.randint(0, 50, (2, 7)), torch.randn(2, 8, 8)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    masked = {"scale": torch.rand(3, 8), "mask": torch.rand(3, 8) > 0.7}
    return {
        "mlp": (Mlp(), (torch.randn(4, 16),), {}, ["y"]),
        "cnn": (Cnn(), (torch.randn(2, 3, 16, 16),), {}, ["y"]),
        "encoder": (Encoder(), (ids,), {}, ["last", "pooled"]),
        "torch_encoder": (layer, (torch.randn(2, 7, 32),), {}, ["y"]),
        "swaps": (Swaps(), (square,), {}, ["y", "z"]),
        "shared": (Shared(), (torch.randn(3, 8),), {}, ["y"]),
        "norms": (Norms(), (torch.randn(2, 4, 6, 6),), {}, ["y"]),
        "twice": (Twice(), (torch.randn(3, 8),), {}, ["y"]),
        "recurrent": (Recurrent(), (torch.randn(2, 5, 8),), {}, ["y"]),
        "keyed": (Keyed(), (torch.randn(3, 8),), masked, ["y"]),
    }
