"""Writes the checkpoints and expected states of test_llama_states.c and test_states_reader.c.

    make_states.py OUT   writes OUT/<case>/{config.json, model.safetensors, states.safetensors}
    make_states.py --model MODEL IDS FILE   the states of another model: IDS has one sequence per line
    make_states.py --compare A B   exit code 1 unless two such folders agree

Needs torch, transformers, tokenizers and safetensors; independent of the C code. The models are
transformers' own, in float32 with eager attention; states are the raw outputs of its
blocks (state 0: the embedding), taken by hooks, of the tokens listed in `tokens`. A states file has
    ids int64 [T]         the sequences end to end
    first int64 [S + 1]   where each begins
    tokens int64 [n]      the tokens whose states follow
    states f32 [N + 1, n, d]
    inv_freq f32 [d_head / 2]   as the model's rotary embedding holds it, if it is one for all layers
"""
import copy
import os
import sys

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForCausalLM, Gemma2Config, Gemma3TextConfig, GemmaConfig,
                          LlamaConfig)

LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.5}
DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}
LENGTHS = (300, 37, 1, 130)
TWO_ROPES = {"full_attention": {"rope_type": "linear", "rope_theta": 3000.0, "factor": 8.0},
             "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}}
LOCAL, GLOBAL = "sliding_attention", "full_attention"


def llama(rope, **more):
    return LlamaConfig, {"rms_norm_eps": 1e-5, "rope_parameters": rope, **more}


CASES = {  # (heads, kv, head_dim, d, f, layers), tied, attention bias, (config, its own), format
    "plain": ((4, 4, 8, 32, 56, 3), False, False, llama(DEFAULT, mlp_bias=False), torch.float32),
    "linear": ((4, 2, 10, 24, 40, 2), True, True, llama(LINEAR, mlp_bias=False), torch.bfloat16),
    "llama3": ((6, 2, 8, 48, 80, 3), False, True, llama(LLAMA3, mlp_bias=True), torch.float32),
    "half": ((4, 1, 16, 40, 72, 2), True, False, llama(LLAMA3, mlp_bias=True), torch.float16),
    "gemma_plain": ((3, 3, 8, 21, 37, 2), True, False, (GemmaConfig, {"hidden_act": "gelu"}),
                    torch.float32),
    "gemma_linear": ((6, 2, 4, 30, 29, 3), True, True,
                     (GemmaConfig, {"rope_parameters": LINEAR, "rms_norm_eps": 1e-3}), torch.bfloat16),
    "gemma_untied": ((4, 1, 14, 20, 43, 2), False, False, (GemmaConfig, {}), torch.float16),
    "gemma2_plain": ((3, 1, 10, 27, 31, 4), True, False,
                     (Gemma2Config, {"sliding_window": 33, "attn_logit_softcapping": 4.0,
                                     "query_pre_attn_scalar": 3}), torch.float32),
    "gemma2_uncapped": ((4, 2, 6, 20, 33, 3), True, True,
                        (Gemma2Config, {"sliding_window": 130, "attn_logit_softcapping": None,
                                        "query_pre_attn_scalar": 24, "rope_parameters": LINEAR,
                                        "layer_types": [GLOBAL, LOCAL, LOCAL]}), torch.bfloat16),
    "gemma2_itself": ((5, 5, 4, 35, 24, 2), False, False,
                      (Gemma2Config, {"sliding_window": 1, "query_pre_attn_scalar": 4}),
                      torch.float16),
    "gemma3_plain": ((3, 1, 10, 24, 41, 7), True, False,
                     (Gemma3TextConfig, {"sliding_window": 40, "query_pre_attn_scalar": 10}),
                     torch.float32),
    "gemma3_stretched": ((6, 2, 8, 18, 35, 3), True, True,
                         (Gemma3TextConfig, {"sliding_window": 129, "query_pre_attn_scalar": 5,
                                             "rope_parameters": TWO_ROPES,
                                             "layer_types": [LOCAL, GLOBAL, LOCAL]}), torch.bfloat16),
    "gemma3_wide": ((2, 2, 18, 22, 28, 2), False, False,
                    (Gemma3TextConfig, {"sliding_window": 301, "query_pre_attn_scalar": 18,
                                        "rms_norm_eps": 1e-4}), torch.float16),
}
HERE = os.path.dirname(os.path.abspath(__file__))
DEMO = os.path.join(HERE, "..", "..", "configs", "demo", "tinyrun")


def random_model(case, seed):
    """A model whose weights are large enough for attention and gates to be far from linear."""
    (heads, kv, head_dim, d, f, layers), tied, bias, (config_class, own), _ = case
    config = config_class(
        vocab_size=64, hidden_size=d, intermediate_size=f, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv, head_dim=head_dim,
        max_position_embeddings=512, tie_word_embeddings=tied, attention_bias=bias,
        bos_token_id=0, eos_token_id=0, pad_token_id=None, attn_implementation="eager",
        **copy.deepcopy(own))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    gamma_is = 1 if config_class is LlamaConfig else 0  # Gemma stores gamma - 1
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            draw = random.standard_normal(tuple(p.shape))
            if name.endswith("norm.weight"):
                draw = gamma_is + 0.3 * draw
            elif name.endswith("bias"):
                draw = 0.3 * draw
            elif "embed" not in name:
                draw = 1.5 * draw / np.sqrt(p.shape[1])
            p.copy_(torch.from_numpy(draw))
    return model


def read_model(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                attn_implementation="eager").eval()


def record(model, sequences, tokens):
    """Runs the sequences one by one; returns the tensors of a states file."""
    blocks = [model.model.embed_tokens, *model.model.layers]
    seen = []

    def keep(_module, _inputs, output):
        seen.append((output[0] if isinstance(output, tuple) else output).reshape(-1, output[0].shape[-1]))

    hooks = [b.register_forward_hook(keep) for b in blocks]
    states = []
    with torch.no_grad():
        for ids in sequences:
            seen.clear()
            model.model(torch.tensor([ids]), use_cache=False)
            states.append(torch.stack(seen))
    for hook in hooks:
        hook.remove()
    first = np.cumsum([0] + [len(s) for s in sequences])
    rope = getattr(model.model.rotary_emb, "inv_freq", None)
    one_rope = {} if rope is None else {"inv_freq": rope.clone()}
    return {"ids": torch.tensor([i for s in sequences for i in s]),
            "first": torch.from_numpy(first.astype(np.int64)),
            "tokens": torch.tensor(tokens),
            "states": torch.cat(states, 1)[:, tokens].contiguous(), **one_rope}


def write_states(path, tensors):
    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    save_file(tensors, path, metadata=versions)


def make_random(out):
    """Early, middle and late positions of the long sequences, all of the single token."""
    for seed, (name, case) in enumerate(CASES.items()):
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        random_model(case, seed).to(case[-1]).save_pretrained(folder)
        os.remove(os.path.join(folder, "generation_config.json"))
        model = read_model(folder)
        random = np.random.default_rng(100 + seed)
        sequences = [random.integers(0, 64, n).tolist() for n in LENGTHS]
        tokens = [0, 1, 2, 5, 63, 64, 126, 127, 128, 129, 200, 255, 256, 257, 298, 299,
                  300, 301, 320, 336, 337, 338, 400, 465, 466, 467]
        write_states(os.path.join(folder, "states.safetensors"), record(model, sequences, tokens))


def make_demo(out):
    """Three windows of the demo's held-out text through its last checkpoint."""
    from tokenizers import Tokenizer
    with open(os.path.join(DEMO, "heldout.txt"), encoding="utf-8") as file:
        text = file.read(20000)
    ids = Tokenizer.from_file(os.path.join(DEMO, "tokenizer.json")).encode(text).ids
    model = read_model(os.path.join(DEMO, "base", "step_013000"))
    tokens = [s * 128 + p for s in range(3) for p in (0, 1, 2, 17, 64, 100, 126, 127)]
    os.makedirs(os.path.join(out, "demo"), exist_ok=True)
    write_states(os.path.join(out, "demo", "states.safetensors"),
                 record(model, [ids[s * 128:(s + 1) * 128] for s in range(3)], tokens))


def make_model(model_path, ids_path, out):
    """States of every tenth token, and of each initial one."""
    model = read_model(model_path)
    with open(ids_path, encoding="ascii") as file:
        sequences = [[int(word) for word in line.split()] for line in file]
    first = np.cumsum([0] + [len(s) for s in sequences]).tolist()
    tokens = sorted({*range(0, first[-1], 10), *first[:-1]})
    write_states(out, record(model, sequences, tokens))


def compare(left, right):
    """Everything stored must be equal; computed values within the float noise of another machine."""
    bad = []
    for name in [*CASES, "demo"]:
        a, b = (load_file(os.path.join(top, name, "states.safetensors")) for top in (left, right))
        for key in ("ids", "first", "tokens"):
            if not torch.equal(a[key], b[key]):
                bad.append(f"{name}: {key} differ")
        if "inv_freq" in a and not torch.allclose(a["inv_freq"], b["inv_freq"], rtol=2.5e-7, atol=0):
            bad.append(f"{name}: inv_freq differ")
        off = ((a["states"] - b["states"]).norm(dim=-1) / b["states"].norm(dim=-1)).max().item()
        if not off <= 1e-5:
            bad.append(f"{name}: states are off by {off:.2g} of their norm")
        if name == "demo":
            continue
        with safe_open(os.path.join(left, name, "model.safetensors"), "pt") as a, \
                safe_open(os.path.join(right, name, "model.safetensors"), "pt") as b:
            if sorted(a.keys()) != sorted(b.keys()):
                bad.append(f"{name}: other tensors")
            else:
                bad += [f"{name}: {key} differs" for key in a.keys()
                        if not torch.equal(a.get_tensor(key), b.get_tensor(key))]
    return bad


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) == 4 and sys.argv[1] == "--compare":
        found = compare(sys.argv[2], sys.argv[3])
        print("\n".join(found), end="\n" if found else "")
        sys.exit(1 if found else 0)
    if len(sys.argv) == 5 and sys.argv[1] == "--model":
        sys.exit(make_model(*sys.argv[2:]))
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make_random(sys.argv[1])
    make_demo(sys.argv[1])
