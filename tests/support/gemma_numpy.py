"""A Gemma 2 or 3 in float64 numpy: what it has beyond the Llama of llama_numpy.py.

Weights of norms are stored as gamma - 1, states 0 are scaled, a norm stands behind each branch and,
in Gemma 3, in each query and key head; logits have a scale of their own and may be capped, and some
layers see a window of tokens. Gemma 3's layers with a window have positions of their own.
"""
import math

import numpy as np

from llama_numpy import ACTIVATIONS, Llama, rope_frequencies

NORMS = {"norm1": "input_layernorm", "post1": "post_attention_layernorm",
         "norm2": "pre_feedforward_layernorm", "post2": "post_feedforward_layernorm",
         "norm_q": "self_attn.q_norm", "norm_k": "self_attn.k_norm"}


class Gemma(Llama):
    def __init__(self, config, tensors):
        super().__init__(config, tensors)
        self.phi = ACTIVATIONS[config["hidden_activation"]]
        self.softcap = config.get("attn_logit_softcapping")
        self.norms_heads = config["model_type"] == "gemma3_text"

    def weight(self, layer, part):
        """Of a norm: its gamma, added up in single precision as in the reference."""
        if part in NORMS:
            stored = self.tensors[f"model.layers.{layer}.{NORMS[part]}.weight"]
            return (1 + np.float32(stored)).astype(np.float64)
        return super().weight(layer, part)

    def embed(self, ids):
        return super().embed(ids) * float(np.float32(math.sqrt(self.d)))

    # ---- attention ----

    def is_local(self, layer):
        return self.config["layer_types"][layer] == "sliding_attention"

    def positions(self, layer):
        if self.norms_heads and self.is_local(layer):
            return rope_frequencies({"rope_theta": self.config["rope_local_base_freq"]}, self.d_head)
        return super().positions(layer)

    def cut(self, layer, part, heads, x):
        x, norm = super().cut(layer, part, heads, x), {"wq": "norm_q", "wk": "norm_k"}.get(part)
        return self.norm(x) * self.weight(layer, norm) if self.norms_heads and norm else x

    def logits(self, q, k):
        score = np.einsum("ihc,jhc->hij", q, k) / math.sqrt(self.config["query_pre_attn_scalar"])
        return self.softcap * np.tanh(score / self.softcap) if self.softcap else score

    def seen(self, layer, n):
        behind = np.tri(n, k=-self.config["sliding_window"], dtype=bool)
        return super().seen(layer, n) & ~(behind & self.is_local(layer))

    # ---- behind a branch ----

    has_post = True

    def finish(self, layer, post, y):
        return self.norm(y) * self.weight(layer, post)

    def divisor(self, y):
        return np.sqrt((y * y).mean(axis=-1) + self.eps)

    def finish_map(self, layer, post, m):
        """diag(gamma) m / r: r is the root mean square of m x over entries and x ~ N(0, I)."""
        r = math.sqrt((m * m).sum() / self.d + self.eps)
        return self.weight(layer, post)[:, None] * m / r, r

    def finish_error(self, layer, y, error):
        s = self.divisor(y)
        return np.abs(self.weight(layer, "post2")) / s * (
            error + np.abs(y) * (np.abs(y) @ error) / (self.d * s ** 2))

    def reach(self, layer):
        return super().reach(layer) * np.abs(self.weight(layer, "post2"))

    def ffn_jacobian(self, layer, x):
        y = self.ffn_output(layer, self.norm(x) * self.weight(layer, "norm2"))
        s, m = self.divisor(y), self.output_jacobian(layer, x)
        return self.weight(layer, "post2")[:, None] / s * (m - np.outer(y, y @ m) / (self.d * s ** 2))
