"""Writes GGUF files for tests by the package gguf: a llama's metadata, tensors of any type, and tokenisers."""
import json

import gguf
import numpy as np

from llama_numpy import to_stored

PARTS = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}
TOP = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
       "lm_head.weight": "output.weight"}


def stored_name(name):
    """A tensor's name in a GGUF file: blk.3.attn_q.weight of model.layers.3.self_attn.q_proj.weight."""
    if name in TOP:
        return TOP[name]
    layer, rest = name.removeprefix("model.layers.").split(".", 1)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{PARTS[part]}.{kind}"


def turned(rows, heads):
    """Rows of query or key as a GGUF file has them: channels that one position turns side by side."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def metadata(writer, c, tokenizer):
    """What converters write of a config, and of a tokeniser: arguments of add_tokenizer(), or None."""
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_context_length(512)
    writer.add_embedding_length(c["hidden_size"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_head_count_kv(c["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_rope_freq_base(c["rope_theta"])
    if c["head_dim"] * c["num_attention_heads"] != c["hidden_size"]:
        writer.add_key_length(c["head_dim"])
        writer.add_value_length(c["head_dim"])
    writer.add_rope_dimension_count(c["head_dim"])
    if "rope_scaling" in c:
        writer.add_rope_scaling_type(gguf.RopeScalingType(c["rope_scaling"]["rope_type"]))
        writer.add_rope_scaling_factor(c["rope_scaling"]["factor"])
    writer.add_vocab_size(c["vocab_size"])
    writer.add_bos_token_id(1)
    if tokenizer is None:
        writer.add_token_list([f"token {i}" for i in range(c["vocab_size"])])
    else:
        add_tokenizer(writer, **tokenizer)
    writer.add_array("general.tags", ["a test", "é"])


def add_tokenizer(writer, kind, tokens, types, merges=None, scores=None, **others):
    """The keys tokenizer.ggml.*; `others`: those that are a text, a boolean or a whole number."""
    writer.add_tokenizer_model(kind)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if merges is not None:
        writer.add_token_merges(merges)
    if scores is not None:
        writer.add_token_scores(scores)
    for key, value in others.items():
        add = {str: writer.add_string, bool: writer.add_bool, int: writer.add_uint32}[type(value)]
        add(f"tokenizer.ggml.{key}", value)


def tokenizer_of(tokenizer, pre):
    """What converters write of a tokeniser of the package tokenizers: arguments of add_tokenizer()."""
    size = tokenizer.get_vocab_size()
    added = {i: token for i, token in tokenizer.get_added_tokens_decoder().items()}
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return {"kind": "gpt2", "pre": pre, "tokens": [tokenizer.id_to_token(i) for i in range(size)],
            "types": [1 if i not in added else 3 if added[i].special else 4 for i in range(size)],
            "merges": [" ".join(merge) for merge in merges]}


def write_tokenizer(path, **arguments):
    """A file of a tokeniser alone."""
    writer = gguf.GGUFWriter(path, "llama")
    add_tokenizer(writer, **arguments)
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write(path, c, tensors, tokenizer=None):
    """A file of `tensors`: name as stored -> (type, array of bytes, the last axis a row's)."""
    writer = gguf.GGUFWriter(path, "llama")
    metadata(writer, c, tokenizer)
    for name, (kind, data) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType[kind])
    finish(writer)


def write_llama(path, model, kind, tokenizer=None):
    """A model of llama_numpy, every tensor in one number format."""
    c, out = model.config, {}
    for name, values in model.tensors.items():
        for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if f".{part}." in name:
                values = turned(values, c[heads])
        data = np.frombuffer(to_stored(kind, values), np.uint8).reshape(*values.shape[:-1], -1)
        out[stored_name(name)] = (kind, data)
    write(path, c, out, tokenizer)
