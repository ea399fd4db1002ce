"""Gemma 1, 2 and 3 in safetensors and in GGUF are the same model: tensors, settings, results, bit by bit.

GGUF holds the norms' weights w as 1 + w in single precision. Weights of bfloat16 come back exactly;
of others what the norm multiplies by, 1 + w.
"""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p
from llama_numpy import from_stored, read_safetensors, to_stored, write_safetensors

DATA = Path(os.environ["SD_TEST_DATA"]) / "states"
PRINT_TENSORS = os.path.join(os.environ["SD_BUILD"], "tests", "print_tensors")
LLAMA_NORM2 = {"post_attention_layernorm": "ffn_norm"}
OWN_NORM2 = {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
             "post_feedforward_layernorm": "post_ffw_norm", "self_attn.q_norm": "attn_q_norm",
             "self_attn.k_norm": "attn_k_norm"}
PARTS = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
TOP = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
       "lm_head.weight": "output.weight"}
CASES = {"gemma_untied": "gemma", "gemma2_plain": "gemma2", "gemma3_plain": "gemma3"}
check = p.Checks()


def read_model(case):
    """Config and float32 tensors; settings that GGUF leaves to its readers are what those take."""
    config = json.loads((DATA / case / "config.json").read_text())
    if "query_pre_attn_scalar" in config:
        config["query_pre_attn_scalar"] = config["head_dim"]
    tensors = read_safetensors(DATA / case / "model.safetensors")
    return config, {name: values.astype(np.float32) for name, values in tensors.items()}


def stored_name(name, arch):
    if name in TOP:
        return TOP[name]
    layer, part, kind = re.fullmatch(r"model\.layers\.(\d+)\.(.*)\.(weight|bias)", name).groups()
    return f"blk.{layer}.{(PARTS | (LLAMA_NORM2 if arch == 'gemma' else OWN_NORM2))[part]}.{kind}"


def write_gguf(path, arch, c, tensors, added=1):
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_head_count_kv(c["num_key_value_heads"])
    writer.add_key_length(c["head_dim"])
    writer.add_value_length(c["head_dim"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    ropes = c["rope_parameters"]
    writer.add_rope_freq_base(ropes.get("full_attention", ropes)["rope_theta"])
    if c.get("sliding_window"):
        writer.add_sliding_window(c["sliding_window"])
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(c["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(c["final_logit_softcapping"])
    writer.add_bos_token_id(c["bos_token_id"])
    for name, values in tensors.items():
        one = np.float32(added) if name.endswith("norm.weight") else np.float32(0)
        writer.add_tensor(stored_name(name, arch), values + one)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def inspected(path):
    result = p.run(["inspect", path])
    check(result.returncode == 0, f"inspect {path}: {result.stderr}")
    return re.sub(r"^checkpoint .*\n", "", result.stdout)


def printed(path, piece):
    result = subprocess.run([PRINT_TENSORS, path, str(piece)], capture_output=True)
    check(result.returncode == 0, f"{path}: {result.stderr}")
    return result.stdout


def as_bfloat16(values):
    return from_stored("BF16", to_stored("BF16", values)).astype(np.float32).reshape(values.shape)


def same_model(folder, case, arch):
    config, tensors = read_model(case)
    tensors = {name: as_bfloat16(values) for name, values in tensors.items()}
    home = folder / case
    home.mkdir()
    (home / "config.json").write_text(json.dumps(config))
    write_safetensors(home / "model.safetensors", tensors, "F32")
    write_gguf(folder / f"{case}.gguf", arch, config, tensors)
    says = inspected(home)
    check(says == inspected(folder / f"{case}.gguf"), f"{case}: the same model")
    check(f"family       {arch}\n" in says, f"{case}: its family")
    check(printed(home, 4096) == printed(folder / f"{case}.gguf", 7), f"{case}: read in any pieces")
    write_gguf(folder / "less.gguf", arch, config, tensors, 0)
    check(says != inspected(folder / "less.gguf"), f"{case}: norms without their 1 are seen")


def any_weights_multiply_alike(folder, case, arch):
    config, tensors = read_model(case)
    write_gguf(folder / "any.gguf", arch, config, tensors)
    data = printed(folder / "any.gguf", 4096)
    seen = 0
    for name, w in tensors.items():
        if not name.endswith("norm.weight"):
            continue
        begin = data.index(b"\n", data.index(name.encode() + b" ")) + 1
        got = np.frombuffer(data[begin:begin + w.nbytes], "<f4")
        one = np.float32(1)
        upper = one + w >= 0.5
        check(np.array_equal((one + got)[upper], (one + w)[upper]), f"{name}: 1 + w, bit by bit")
        check(np.abs(got.astype(float) - w).max() <= 2.0 ** -23, f"{name}: w within a rounding")
        seen += int((got != w).sum())
    check(seen > 0, "some weights of 24 bits lose the last ones")


def windows_are_asked_for(folder):
    """llama.cpp's gemma3 without one has none at all: no such model was published."""
    config, tensors = read_model("gemma3_plain")
    del config["sliding_window"]
    write_gguf(folder / "blind.gguf", "gemma3", config, tensors)
    result = p.run(["inspect", folder / "blind.gguf"])
    check(result.returncode == 3 and "'gemma3.attention.sliding_window'" in result.stderr, result.stderr)


def the_largest_scales_by_width(folder):
    """The file does not say it: its readers know that the model of 62 layers divides by sqrt(d / heads)."""
    config, tensors = read_model("gemma3_plain")
    config["num_hidden_layers"] = 62
    for name in [n for n in tensors if n.startswith("model.layers.")]:
        if name.startswith("model.layers.0."):
            tensors |= {name.replace(".0.", f".{l}.", 1): tensors[name] for l in range(62)}
    write_gguf(folder / "many.gguf", "gemma3", config, tensors)
    width = config["hidden_size"] // config["num_attention_heads"]
    check(f"logits       times {width ** -0.5:g}\n" in inspected(folder / "many.gguf"), "62 layers")


def same_results(folder, case):
    """The study is the same text, so the folder `model` holds one form after the other."""
    random = np.random.default_rng(4)
    (folder / "ids").write_text("\n".join(" ".join(map(str, random.integers(0, 64, 70))) for _ in range(3)))
    (folder / "study.yaml").write_text("text: {ids: ids}\nfigures: none\nruns:\n"
                                       "  - {name: base, checkpoints: [{step: 5, path: model}]}\n")
    for name in ("one", "two"):
        (folder / "model").mkdir()
        for file in (folder / case).iterdir() if name == "one" else [folder / f"{case}.gguf"]:
            shutil.copy(file, folder / "model")
        result = p.run(["run", folder / "study.yaml", "-o", folder / name, "--progress", "none"], 2)
        check(result.returncode == 0 and result.stderr == "", f"{name}: {result.returncode} {result.stderr}")
        shutil.rmtree(folder / "model")
    check(p.same(folder / "one/study.h5", folder / "two/study.h5"), f"{case}: the same results")


with p.Scratch() as scratch:
    for name, architecture in CASES.items():
        same_model(scratch, name, architecture)
    same_results(scratch, "gemma3_plain")
    windows_are_asked_for(scratch)
    the_largest_scales_by_width(scratch)
    any_weights_multiply_alike(scratch, "gemma3_plain", "gemma3")
check.done()
