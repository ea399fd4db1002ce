"""Makes small Llamas for tests: random ones of any shape, and neurons with a known effect in them."""
import numpy as np

from llama_numpy import Llama

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}


def config(layers, d, f, heads, kv, d_head, **more):
    """A config.json; `more` replaces and adds keys."""
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 61,
            "hidden_size": d, "intermediate_size": f, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": d_head,
            "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False} | more


def shapes(c):
    """Name and shape of every tensor that a config asks for."""
    d, f, q, kv = (c["hidden_size"], c["intermediate_size"],
                   c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"])
    yield "model.embed_tokens.weight", (c["vocab_size"], d)
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{at}{name}.weight", (d,)
        for name, rows, cols in (("q", q, d), ("k", kv, d), ("v", kv, d), ("o", d, q)):
            yield f"{at}self_attn.{name}_proj.weight", (rows, cols)
            if c["attention_bias"]:
                yield f"{at}self_attn.{name}_proj.bias", (rows,)
        for name, rows, cols in (("gate", f, d), ("up", f, d), ("down", d, f)):
            yield f"{at}mlp.{name}_proj.weight", (rows, cols)
            if c["mlp_bias"]:
                yield f"{at}mlp.{name}_proj.bias", (rows,)
    yield "model.norm.weight", (d,)
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], d)


def random_llama(c, seed, branch=1.0):
    """Matrices of unit gain times `branch`, gammas around 1, small biases, embeddings of norm 1."""
    random = np.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes(c):
        draw = random.standard_normal(shape)
        if "layernorm" in name or name == "model.norm.weight":
            tensors[name] = 1 + 0.2 * draw
        elif "embed" in name:
            tensors[name] = draw / np.linalg.norm(draw, axis=1, keepdims=True)
        else:
            tensors[name] = 0.3 * draw if len(shape) == 1 else branch * draw / np.sqrt(shape[1])
    return Llama(c, tensors)


def mark(model, token, marker, size):
    """Gives a token's embedding the length `size` along a unit vector."""
    row = model.tensors["model.embed_tokens.weight"][token]
    row += (size - row @ marker) * marker


def plant(model, layer, token, see, add, neuron=0):
    """Makes one neuron of a layer (from 0) add the vector `add` to a token that stands alone.

    Its rows see the unit vector `see` behind the norm; the column is set so that the token's state,
    as the layers below make it, gets `add` exactly (from the FFN's last matrix, where a norm stands
    behind it). `add` may be a function of the state between the branches.
    """
    at = model.states([[token]])[1][layer][0]
    gate, up, down = (model.weight(layer, part) for part in ("gate", "up", "down"))
    rows = see / model.weight(layer, "norm2")
    gate[neuron], up[neuron] = rows, rows
    for part in ("gate", "up"):
        if np.ndim(model.bias(layer, part)) > 0:
            model.bias(layer, part)[neuron] = 0
    seen = model.norm(at) @ see
    hidden = model.phi(seen) * seen
    down[:, neuron] = (add(at) if callable(add) else add) / hidden
