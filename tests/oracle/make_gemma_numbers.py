"""Writes the numbers of tests/real/test_gemma3.py: what Gemma-3-270m shows, by torch and numpy alone.

    make_gemma_numbers.py MODEL.gguf IDS OUT.json

Needs torch, transformers and gguf; independent of the C code. The file's blocks are decoded by the
package gguf, the states are those of transformers' Gemma3ForCausalLM in float32 with eager
attention (state 0: the scaled embedding), the maps are dense numpy in float64. IDS has one sequence
per line, without BOS. Layers count from 1. OUT holds, for the sequences as they are (`nobos`) and
with BOS in front (`bos`),
    initial_mean, other_median, other_max   norms per state
    phases      by tests/support/phenomenon_numpy.py, and how close any comparison came to equality
and of the runs with BOS
    settled     states whose initial norms are at least half of the largest: where they stay
    direction   unit mean of the initial tokens' unit states there
    u, u_without   per layer the angle of the leading left singular vector of L to it, in degrees,
                   with the post-norms' gamma and without post-norms; gap: sigma_1 / sigma_2 of L
"""
import json
import math
import os
import sys

import gguf
import numpy as np
import torch
import transformers

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from llama_numpy import gelu_tanh
from phenomenon_numpy import acute, find_phases, unit

PARTS = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
         "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
         "post_ffw_norm": "post_feedforward_layernorm", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
EPS, BOS = 1e-6, 2


def read_tensors(reader):
    """Name as stored, without .weight -> float32."""
    return {t.name.removesuffix(".weight"): np.array(gguf.dequantize(t.data, t.tensor_type), np.float32)
            for t in reader.tensors}


def original_name(name):
    if name in TOP:
        return TOP[name] + ".weight"
    _, layer, part = name.split(".")
    return f"model.layers.{layer}.{PARTS[part]}.weight"


def make_model(reader, tensors):
    value = lambda key: reader.fields["gemma3." + key].contents()
    config = transformers.Gemma3TextConfig(
        vocab_size=len(tensors["token_embd"]), hidden_size=value("embedding_length"),
        intermediate_size=value("feed_forward_length"), num_hidden_layers=value("block_count"),
        num_attention_heads=value("attention.head_count"),
        num_key_value_heads=value("attention.head_count_kv"), head_dim=value("attention.key_length"),
        sliding_window=value("attention.sliding_window"), rms_norm_eps=EPS,
        query_pre_attn_scalar=value("attention.key_length"), attn_implementation="eager")
    model = transformers.Gemma3ForCausalLM(config).eval()
    state = {original_name(name): torch.from_numpy(values - 1 if name.endswith("norm") else values)
             for name, values in tensors.items()}
    wrong = model.load_state_dict(state, strict=False)
    if wrong.unexpected_keys or wrong.missing_keys != ["lm_head.weight"]:
        sys.exit(f"the weights do not fit: {wrong}")
    return model


def states_of(model, sequences):
    """[N + 1, tokens, d], end to end."""
    seen, states = [], []
    keep = lambda _m, _i, out: seen.append(out[0] if isinstance(out, tuple) else out)
    hooks = [b.register_forward_hook(keep) for b in (model.model.embed_tokens, *model.model.layers)]
    with torch.no_grad():
        for ids in sequences:
            seen.clear()
            model.model(torch.tensor([ids]), use_cache=False)
            states.append(torch.stack([s.reshape(len(ids), -1) for s in seen]))
    for hook in hooks:
        hook.remove()
    return torch.cat(states, 1).double().numpy()


def phenomenon(states, lengths):
    """Norms and phases; and which tokens are initial."""
    initial = np.zeros(states.shape[1], bool)
    initial[np.cumsum([0, *lengths[:-1]])] = True
    norm = np.linalg.norm(states, axis=-1)
    phases, margin = find_phases(norm, initial)
    return {"initial_mean": norm[:, initial].mean(axis=1).tolist(),
            "other_median": np.median(norm[:, ~initial], axis=1).tolist(),
            "other_max": norm[:, ~initial].max(axis=1).tolist(), "margin": margin,
            "phases": [{"first": p.first, "last": p.last, "tokens": p.tokens, "ratio": p.ratio,
                        "plateau": list(p.plateau), "explosion": [l + 1 for l in p.explosion],
                        "decay": [l + 1 for l in p.decay]} for p in phases]}, initial


# ---- linear maps ----

def ffn_rows(gate, up):
    """A2 for the tanh GELU without biases: (u.g/|g|) E[phi z^2] g/|g| + E[phi] (u - its part along g)."""
    z, weight = np.polynomial.legendre.leggauss(600)
    z, weight = 9.5 * z, 9.5 * weight * np.exp(-(9.5 * z) ** 2 / 2) / math.sqrt(2 * math.pi)
    sigma = np.linalg.norm(gate, axis=1)
    axis = gate / sigma[:, None]
    value = gelu_tanh(sigma[:, None] * z) * weight
    along = (up * axis).sum(axis=1)
    return (along * (value * z * z).sum(axis=1))[:, None] * axis \
        + value.sum(axis=1)[:, None] * (up - along[:, None] * axis)


def behind(m, gamma):
    """A branch behind its post-norm, taken at its value for x ~ N(0, I)."""
    return gamma[:, None] * m / math.sqrt((m * m).sum() / len(m) + EPS)


def layer_maps(tensors, layer, heads):
    """L with the post-norms, and without them."""
    part = lambda name: tensors[f"blk.{layer}.{name}"].astype(np.float64)
    value = np.tile(part("attn_v"), (heads, 1))  # one key/value head
    a = part("attn_output") @ value * part("attn_norm")
    f = part("ffn_down") @ ffn_rows(part("ffn_gate"), part("ffn_up")) * part("ffn_norm")
    one = np.eye(len(a))
    without = (one + f) @ (one + a)
    a, f = behind(a, part("post_attention_norm")), behind(f, part("post_ffw_norm"))
    return (one + f) @ (one + a), without


def leading(m):
    u, sigma, _ = np.linalg.svd(m)
    return u[:, 0], sigma[0] / sigma[1]


def main(model_path, ids_path, out):
    torch.set_num_threads(1)
    reader = gguf.GGUFReader(model_path)
    tensors = read_tensors(reader)
    model = make_model(reader, tensors)
    with open(ids_path, encoding="ascii") as file:
        sequences = [[int(word) for word in line.split()] for line in file]
    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
                "numpy": np.__version__}
    found = {"versions": versions}
    found["nobos"], _ = phenomenon(states_of(model, sequences), [len(s) for s in sequences])
    with_bos = [[BOS, *s] for s in sequences]
    states = states_of(model, with_bos)
    found["bos"], initial = phenomenon(states, [len(s) for s in with_bos])

    size = np.array(found["bos"]["initial_mean"])
    settled = np.flatnonzero(size >= size.max() / 2)
    direction = unit(unit(states[settled][:, initial]).mean(axis=(0, 1)))
    found["settled"] = settled.tolist()
    heads = reader.fields["gemma3.attention.head_count"].contents()
    pairs = [[leading(m) for m in layer_maps(tensors, l, heads)] for l in range(len(states) - 1)]
    found["u"] = [acute(u, direction) for (u, _), _ in pairs]
    found["gap"] = [gap for (_, gap), _ in pairs]
    found["u_without"] = [acute(u, direction) for _, (u, _) in pairs]
    found["direction"] = [float(f"{x:.8g}") for x in direction]
    with open(out, "w", encoding="ascii") as file:
        json.dump(found, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
