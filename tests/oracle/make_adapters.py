"""Writes the adapters and merged weights of tests/oracle/test_adapters.py.

    make_adapters.py OUT   writes OUT/<base>/ and OUT/<case>/{adapter_config.json, adapter_model.safetensors,
                           merged.safetensors}

Needs torch, transformers, peft and safetensors; independent of the C code. Models and adapters are
stored in F32, adapters as PEFT saves them; `merged` is what PEFT's merge_and_unload() makes of
both in float64: the tensors that differ from the base, under their names in it.
"""
import json
import os
import shutil
import sys

import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

LLAMA = dict(vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
             num_key_value_heads=1, attention_bias=True, tie_word_embeddings=False)
# Base, and the adapter's config. PEFT sorts the patterns when it saves them, and the first that matches counts.
CASES = {
    "plain": ("llama", dict(r=2, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "all_linear": ("llama", dict(r=3, lora_alpha=5, target_modules="all-linear", init_lora_weights="gaussian")),
    "patterns": ("llama", dict(r=4, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "k_proj", "up_proj", "down_proj"],
                               rank_pattern={".*0.mlp.*": 5, "layers.0.mlp.up_proj": 3, "layers.1.mlp.up_proj": 3,
                                             "q_pro": 7, "q_proj": 2},
                               alpha_pattern={"(up|down)_proj": 24, "_proj": 7, "k.*": 0.5,
                                             "model.layers.0.self_attn.q_proj": 1})),
    "whole": ("llama", dict(r=2, lora_alpha=3, bias="all", target_modules=["o_proj", "gate_proj"],
                            modules_to_save=["input_layernorm", "lm_head"])),
    "bias_of_lora": ("llama", dict(r=2, lora_alpha=3, lora_bias=True, target_modules=["q_proj", "k_proj"])),
    "trained_bias": ("llama", dict(r=2, lora_alpha=3, bias="lora_only", target_modules=["v_proj"])),
    "embedding": ("llama", dict(r=3, lora_alpha=2, target_modules=["embed_tokens", "lm_head", "o_proj"])),
    "conv1d": ("gpt2", dict(r=3, lora_alpha=7, fan_in_fan_out=True, target_modules=["c_attn", "c_fc"])),
    "conv1d_bias": ("gpt2", dict(r=2, lora_alpha=7, fan_in_fan_out=True, lora_bias=True, target_modules=["c_proj"])),
}


def base_model(kind):
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**LLAMA))
    return GPT2LMHeadModel(GPT2Config(vocab_size=11, n_embd=8, n_layer=1, n_head=2, n_positions=4))


def randomise(parameters, seed):
    """Also what training leaves at 0 at first: B, and the biases."""
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for _, p in sorted(parameters):
            p.copy_(torch.from_numpy(random.standard_normal(tuple(p.shape)).astype(np.float32)))


def write_base(kind, out, seed):
    model = base_model(kind)
    randomise(model.named_parameters(), seed)
    model.save_pretrained(out)
    for name in os.listdir(out):
        if name not in ("config.json", "model.safetensors"):
            os.remove(os.path.join(out, name))


def write_case(base, config, folder, seed):
    stored = os.path.join(os.path.dirname(os.path.abspath(folder)), base)
    loaded = type(base_model(base)).from_pretrained(stored)
    before = {name: p.detach().double() for name, p in loaded.state_dict().items()}
    model = get_peft_model(loaded, LoraConfig(**config))
    randomise([(n, p) for n, p in model.named_parameters() if p.requires_grad], seed)
    model.save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))
    settings = os.path.join(folder, "adapter_config.json")
    with open(settings, encoding="utf-8") as file:
        said = json.load(file)
    said["base_model_name_or_path"] = f"../{base}"
    said["target_modules"] = sorted(said["target_modules"]) if isinstance(said["target_modules"], list) else said["target_modules"]
    with open(settings, "w", encoding="utf-8") as file:
        json.dump(said, file, indent=1, sort_keys=True)
    # PEFT merges in the numbers' own type.
    again = type(base_model(base)).from_pretrained(stored).double()
    merged = PeftModel.from_pretrained(again, folder).double().merge_and_unload().state_dict()
    changed = {n: t.contiguous() for n, t in merged.items() if n in before and not torch.equal(t, before[n])}
    save_file(changed, os.path.join(folder, "merged.safetensors"))


def main(out):
    shutil.rmtree(out, ignore_errors=True)
    for seed, kind in enumerate(("llama", "gpt2")):
        write_base(kind, os.path.join(out, kind), seed)
    for seed, (name, (base, config)) in enumerate(CASES.items()):
        write_case(base, config, os.path.join(out, name), 100 + seed)
    with open(os.path.join(out, "README.md"), "w", encoding="utf-8") as file:
        file.write("# LoRA adapters and their merged weights\n\nMade by `tests/oracle/make_adapters.py` with "
                   f"peft {peft.__version__}, torch {torch.__version__.split('+')[0]} and transformers "
                   f"{transformers.__version__}.\nRandom numbers; `merged.safetensors` in float64 by PEFT's own merge.\n")


if __name__ == "__main__":
    main(sys.argv[1])
