"""A Llama in float64 numpy: checkpoints, states, and the linear maps of a layer by another route.

Shares nothing with the program. The forward pass is written from the architecture's definition; the
linear fit of the FFN comes from plain Gaussian moments by quadrature, without Stein's lemma:
with a = g.x + b = |g| z + b and c = u.x + e = (u.g/|g|) z + rest + e,

    A2 = E[phi(a) c x'] = (e E[phi z] + (u.g/|g|) E[phi z^2]) g/|g| + E[phi] (u - (u.g/|g|^2) g).
"""
import json
import math
import struct
from pathlib import Path

import numpy as np

KINDS = {"F64": ("<f8", 8), "F32": ("<f4", 4), "F16": ("<f2", 2), "BF16": ("<u2", 2)}
PARTS = {"wq": "self_attn.q_proj", "wk": "self_attn.k_proj", "wv": "self_attn.v_proj",
         "wo": "self_attn.o_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj",
         "down": "mlp.down_proj"}
NORMS = {"norm1": "input_layernorm", "norm2": "post_attention_layernorm"}


# ---- files ----

def to_stored(kind, values):
    """Values rounded to a number format, as its bytes; bfloat16 to nearest, ties to even."""
    if kind != "BF16":
        return values.astype(KINDS[kind][0]).tobytes()
    bits = values.astype("<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)).astype("<u2").tobytes()


def from_stored(kind, data):
    raw = np.frombuffer(data, KINDS[kind][0])
    if kind == "BF16":
        raw = (raw.astype("<u4") << 16).view("<f4")
    return raw.astype(np.float64)


def write_safetensors(path, tensors, kind):
    header, data = {}, b""
    for name, values in tensors.items():
        piece = to_stored(kind, np.asarray(values))
        header[name] = {"dtype": kind, "shape": list(np.shape(values)),
                        "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    data = Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    out = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            out[name] = from_stored(entry["dtype"], data[begin:end]).reshape(entry["shape"])
    return out


# ---- activations ----

ERF = np.vectorize(math.erf, otypes=[float])


def silu(a):
    return a / (1 + np.exp(-np.clip(a, -700, None)))


def gelu(a):
    return 0.5 * a * (1 + ERF(a / math.sqrt(2)))


def gelu_tanh(a):
    return 0.5 * a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a ** 3)))


def relu(a):
    return np.maximum(a, 0)


def relu2(a):
    return np.maximum(a, 0) ** 2


ACTIVATIONS = {"silu": silu, "swish": silu, "gelu": gelu, "gelu_new": gelu_tanh,
               "gelu_pytorch_tanh": gelu_tanh, "relu": relu, "relu2": relu2}

FAR, PANELS, NODES = 9.5, 120, 16


def gaussian_moments(phi, mean, sigma):
    """E[phi(a) z^k], k = 0, 1, 2, for a = mean + sigma z, z ~ N(0, 1).

    Gauss-Legendre panels on each side of a = 0, where some activations have their kink. The weight
    left out beyond |z| = 9.5 is below 1e-19. The nearest pole, SiLU's, is at height pi / sigma in z,
    more than a panel's width (0.16 at most) for rows up to sigma = 19: 16 nodes then err below 1e-16.
    """
    if not 0 < sigma <= 19:
        raise ValueError(f"a row of length {sigma} is outside of what the quadrature resolves")
    node, weight = np.polynomial.legendre.leggauss(NODES)
    kink = min(FAR, max(-FAR, -mean / sigma))
    out = np.zeros(3)
    for low, high in ((-FAR, kink), (kink, FAR)):
        if high <= low:
            continue
        edges = np.linspace(low, high, PANELS + 1)
        half = (edges[1:] - edges[:-1]) / 2
        z = ((edges[1:] + edges[:-1]) / 2)[:, None] + half[:, None] * node
        density = half[:, None] * weight * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        value = phi(mean + sigma * z) * density
        out += [value.sum(), (value * z).sum(), (value * z * z).sum()]
    return out


# ---- the model ----

def rope_frequencies(config, d_head):
    """As the reference defines them; llama3 stretches long waves and leaves short ones."""
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    theta = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    kind = rope.get("rope_type", rope.get("type", "default"))
    frequency = theta ** (-np.arange(0, d_head, 2) / d_head)
    if kind == "default":
        return frequency
    if kind == "linear":
        return frequency / rope["factor"]
    turns = rope["original_max_position_embeddings"] * frequency / (2 * math.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    keep = np.clip((turns - low) / (high - low), 0, 1)
    return (1 - keep) * frequency / rope["factor"] + keep * frequency


def turn(x, frequency):
    """Rotates heads x of [tokens, heads, d_head], position = index of the token."""
    angle = np.arange(len(x))[:, None, None] * frequency
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle),
                           b * np.cos(angle) + a * np.sin(angle)], axis=-1)


class Llama:
    """A checkpoint folder: config.json and model.safetensors."""

    def __init__(self, config, tensors):
        self.config, self.tensors = config, tensors
        self.layers = config["num_hidden_layers"]
        self.d, self.f = config["hidden_size"], config["intermediate_size"]
        self.heads = config["num_attention_heads"]
        self.kv = config.get("num_key_value_heads", self.heads)
        self.d_head = config.get("head_dim") or self.d // self.heads
        self.eps = config.get("rms_norm_eps", 1e-6)
        self.phi = ACTIVATIONS[config.get("hidden_act", "silu")]

    @classmethod
    def read(cls, folder):
        folder = Path(folder)
        return cls(json.loads((folder / "config.json").read_text(encoding="utf-8")),
                   read_safetensors(folder / "model.safetensors"))

    def write(self, folder, kind="F32"):
        folder = Path(folder)
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(self.config), encoding="utf-8")
        write_safetensors(folder / "model.safetensors", self.tensors, kind)

    def weight(self, layer, part):
        return self.tensors[f"model.layers.{layer}.{(PARTS | NORMS)[part]}.weight"]

    def bias(self, layer, part):
        return self.tensors.get(f"model.layers.{layer}.{PARTS[part]}.bias", 0.0)

    def linear(self, layer, part, x):
        return x @ self.weight(layer, part).T + self.bias(layer, part)

    def norm(self, x):
        """Without its gamma."""
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps)

    def embed(self, ids):
        return self.tensors["model.embed_tokens.weight"][ids]

    def positions(self, layer):
        return rope_frequencies(self.config, self.d_head)

    def cut(self, layer, part, heads, x):
        return self.linear(layer, part, x).reshape(len(x), heads, self.d_head)

    def logits(self, q, k):
        return np.einsum("ihc,jhc->hij", q, k) / math.sqrt(self.d_head)

    def seen(self, layer, n):
        return np.tri(n, dtype=bool)

    def attention_output(self, layer, x):
        """One sequence; before what stands behind the branch."""
        x = self.norm(x) * self.weight(layer, "norm1")
        frequency = self.positions(layer)
        q = turn(self.cut(layer, "wq", self.heads, x), frequency)
        k, v = turn(self.cut(layer, "wk", self.kv, x), frequency), self.cut(layer, "wv", self.kv, x)
        k, v = (np.repeat(y, self.heads // self.kv, axis=1) for y in (k, v))
        score = np.where(self.seen(layer, len(x)), self.logits(q, k), -np.inf)
        share = np.exp(score - score.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        return self.linear(layer, "wo", np.einsum("hij,jhc->ihc", share, v).reshape(len(x), -1))

    def ffn_output(self, layer, x):
        """On what its rows see; before what stands behind the branch."""
        return self.linear(layer, "down",
                           self.phi(self.linear(layer, "gate", x)) * self.linear(layer, "up", x))

    def attention(self, layer, x):
        """One sequence."""
        return self.finish(layer, "post1", self.attention_output(layer, x))

    def ffn(self, layer, x):
        """Behind its norm."""
        return self.ffn_rows(layer, self.norm(x) * self.weight(layer, "norm2"))

    def ffn_rows(self, layer, x):
        """On what its rows see."""
        return self.finish(layer, "post2", self.ffn_output(layer, x))

    def states(self, sequences):
        """States [N + 1, tokens, d], and those between the branches [N, tokens, d]."""
        x = [self.embed(ids) for ids in sequences]
        states, middle = [np.concatenate(x)], []
        for layer in range(self.layers):
            x = [s + self.attention(layer, s) for s in x]
            middle.append(np.concatenate(x))
            x = [s + self.ffn(layer, s) for s in x]
            states.append(np.concatenate(x))
        return np.array(states), np.array(middle)

    # ---- what stands behind a branch: nothing ----

    has_post = False

    def finish(self, layer, post, y):
        return y

    def divisor(self, y):
        """What the norm there divides an output by."""
        return np.ones(len(y))

    def finish_map(self, layer, post, m):
        """The branch's map, and the divisor that is assumed in it."""
        return m, 1.0

    def finish_error(self, layer, y, error):
        """Bound of the FFN's error, entry by entry, from that of y."""
        return error

    def reach(self, layer):
        """How far each channel's row of the FFN's last matrix reaches."""
        return np.linalg.norm(self.weight(layer, "down"), axis=1)

    # ---- linear maps, but for what stands behind ----

    def attention_map(self, layer):
        """A: what a single token's attention does to its normed state."""
        value = self.weight(layer, "wv").reshape(self.kv, self.d_head, self.d)
        value = np.repeat(value, self.heads // self.kv, axis=0).reshape(-1, self.d)
        return self.weight(layer, "wo") @ value * self.weight(layer, "norm1")

    def ffn_map(self, layer, scaled=False, biases=False):
        """F: the least-squares fit of the FFN on Gaussian input, times diag(gamma2)."""
        gamma = self.weight(layer, "norm2")
        inside = gamma if scaled else np.ones(self.d)
        gate, up = (self.weight(layer, part) * inside for part in ("gate", "up"))
        b, e = ((self.bias(layer, part) if biases else 0.0) + np.zeros(self.f)
                for part in ("gate", "up"))
        rows = np.empty((self.f, self.d))
        for i in range(self.f):
            sigma = np.linalg.norm(gate[i])
            axis = gate[i] / sigma
            i0, i1, i2 = gaussian_moments(self.phi, b[i], sigma)
            along = up[i] @ axis
            rows[i] = (e[i] * i1 + along * i2) * axis + i0 * (up[i] - along * axis)
        return self.weight(layer, "down") @ rows * (1.0 if scaled else gamma)

    def ffn_jacobian(self, layer, x):
        """d ffn / d norm(x) at one token's state: the norm is left out."""
        return self.output_jacobian(layer, x)

    def output_jacobian(self, layer, x):
        """The same of ffn_output, by central differences."""
        x, step = self.norm(x), 1e-6
        gamma = self.weight(layer, "norm2")
        a, c = (self.linear(layer, part, x * gamma) for part in ("gate", "up"))
        slope = (self.phi(a + step) - self.phi(a - step)) / (2 * step)
        inner = (slope * c)[:, None] * self.weight(layer, "gate") \
            + self.phi(a)[:, None] * self.weight(layer, "up")
        return self.weight(layer, "down") @ (inner * gamma)
