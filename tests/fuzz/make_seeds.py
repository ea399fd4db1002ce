"""Writes the seeds of the fuzz targets, tests/fuzz/seeds/<name>/: small files, valid, that hold much.

Made with gguf 0.19.0; the same each time. Usage: make_seeds.py
"""
import json
import os
import struct
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import gguf
import made_gguf
import made_llama as made

random = np.random.default_rng(4)


def put(target, name, data):
    folder = os.path.join(HERE, "seeds", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


# ---- safetensors ----

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "U8": 1, "BOOL": 1,
         "C64": 8}


def safetensors(tensors, metadata=None, pad=0):
    header, at = ({"__metadata__": metadata} if metadata is not None else {}), 0
    for name, (dtype, shape) in tensors.items():
        size = int(np.prod(shape, dtype=int)) * SIZES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode() + b" " * pad
    return struct.pack("<Q", len(text)) + text + random.bytes(at)


def safetensors_seeds():
    put("safetensors", "types", safetensors({d: (d, (2, 3)) for d in SIZES}, {"format": "pt"}, 5))
    put("safetensors", "shapes", safetensors({"a": ("F32", ()), "b": ("F16", (0, 4)), "c": ("F64", (1, 1, 1, 2)),
                                              "\u00e9\"\n": ("F32", (3,))}))
    put("safetensors", "empty", safetensors({}))


# ---- GGUF ----

TYPES = ("F32", "F16", "BF16", "F64", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
         "Q6_K", "IQ4_NL", "IQ4_XS")


def gguf_types():
    """A row of 256 numbers of every type, and four that are turned."""
    path = os.path.join(HERE, "seeds", "gguf", "types")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    stored = {}
    for layer, kind in enumerate(TYPES):
        size, width = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
        rows = 4 if kind == "Q4_0" else 1
        part = "attn_q" if kind == "Q4_0" else "ffn_up"
        stored[f"blk.{layer}.{part}.weight"] = (kind, random.integers(0, 256, (rows, 256 // size * width), np.uint8))
    c = made.config(len(TYPES), 256, 64, 2, 1, 6)
    made_gguf.write(path, {**c, "rope_scaling": {"rope_type": "linear", "factor": 2.0}}, stored)


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def gguf_values():
    """Version 2, an alignment of its own, a value of every kind, an array of each."""
    kinds = ["<B", "<b", "<H", "<h", "<I", "<i", "<f", "<B", None, None, "<Q", "<q", "<d"]
    pairs = [text("general.architecture") + struct.pack("<I", 8) + text("llama"),
             text("general.alignment") + struct.pack("<II", 4, 8)]
    for kind, code in enumerate(kinds):
        if code is not None:
            pairs.append(text(f"v{kind}") + struct.pack("<I", kind) + struct.pack(code, 1))
            pairs.append(text(f"a{kind}") + struct.pack("<IIQ", 9, kind, 2) + 2 * struct.pack(code, 0))
    pairs.append(text("a8") + struct.pack("<IIQ", 9, 8, 2) + text("x") + text("\u00e9"))
    for key, value in (("block_count", 1), ("embedding_length", 4), ("feed_forward_length", 4),
                       ("attention.head_count", 2)):
        pairs.append(text("llama." + key) + struct.pack("<II", 4, value))
    tensors = text("token_embd.weight") + struct.pack("<IQQIQ", 2, 4, 2, 0, 0)
    tensors += text("blk.0.attn_norm.weight") + struct.pack("<IQIQ", 1, 3, 1, 32)
    out = b"GGUF" + struct.pack("<IQQ", 2, 2, len(pairs)) + b"".join(pairs) + tensors
    put("gguf", "values", out + bytes(-len(out) % 8) + random.bytes(40))


def gguf_tokenizer_seeds():
    """Byte-level BPE behind two pre-tokenisers, and SentencePiece's pieces with and without bytes."""
    folder = os.path.join(HERE, "seeds", "gguf_tokenizer")
    os.makedirs(folder, exist_ok=True)
    space, merges = "\u2581", ["t h", "th e", "c a", "ca t", "\u0120 cat"]
    tokens = ["<|end|>", *"abcehnst0123456789\u0120'", *(m.replace(" ", "") for m in merges), "  ", "", "[PAD]"]
    types = [3] + [1] * (len(tokens) - 4) + [4, 1, 5]
    for pre in ("smollm", "llama-bpe"):
        made_gguf.write_tokenizer(os.path.join(folder, pre), kind="gpt2", pre=pre, tokens=tokens, types=types, merges=merges)
    pieces = ["<unk>", "<s>", space, *"abceht", space + "t", "he", space + "the", "ca", "aa", "aaaa", "  ", "[P]"]
    scores = [-float(i) for i in range(len(pieces))]
    types = [2, 3] + [1] * (len(pieces) - 4) + [4, 5]
    made_gguf.write_tokenizer(os.path.join(folder, "pieces"), kind="llama", tokens=pieces, types=types, scores=scores,
                              unknown_token_id=0, remove_extra_whitespaces=True)
    made_gguf.write_tokenizer(os.path.join(folder, "bytes"), kind="llama", tokens=pieces + [f"<0x{b:02X}>" for b in range(256)],
                              types=types + [6] * 256, scores=scores + [0.0] * 256, add_space_prefix=False)


# ---- JSON and YAML ----

def tokenizer(pre, added=()):
    alphabet = "abcehnst0123456789\u0120'"
    vocab = {c: i for i, c in enumerate(alphabet)}
    merges = ["t h", "th e", "c a", "ca t", "\u0120 cat"]
    for merge in merges:
        vocab.setdefault(merge.replace(" ", ""), len(vocab))
    tokens = [{"id": len(vocab) + i, "content": content, "single_word": i == 1, "lstrip": i == 1,
               "rstrip": i == 2, "normalized": i == 2, "special": True} for i, content in enumerate(added)]
    model = {"type": "BPE", "dropout": None, "unk_token": "e", "fuse_unk": True, "byte_fallback": False,
             "vocab": vocab, "merges": merges}
    return json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
                       "normalizer": None, "pre_tokenizer": pre, "post_processor": None, "decoder": None,
                       "model": model}, indent=1).encode()


def tokenizer_seeds():
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    plain = {**level, "add_prefix_space": False, "use_regex": False}
    words = r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    split = {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": False}
    comma = {"type": "Split", "pattern": {"String": ","}, "behavior": "MergedWithPrevious", "invert": True}
    put("tokenizer", "level.json", tokenizer(level, ["<|end|>", "cats", "a+b"]))
    put("tokenizer", "split.json", tokenizer({"type": "Sequence", "pretokenizers": [split, plain]}))
    put("tokenizer", "parts.json", tokenizer({"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "Contiguous"},
        comma, plain]}))


def config_seeds():
    c = made.config(2, 16, 32, 4, 2, 64)
    put("config", "plain.json", json.dumps(c, indent=1).encode())
    put("config", "scaled.json", json.dumps({**c, "attention_bias": True, "mlp_bias": True,
        "bos_token_id": [1, 2], "rope_parameters": {
            "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "rope_theta": 1e4,
            "original_max_position_embeddings": 64, "rope_type": "llama3"}}, indent=1).encode())


STUDY = b"""# every key
title: "a \\u00e9 title"
text: corpus.txt
tokenizer: tokenizer.json
measure:
  sequences: 128
  length: 128
  bos: true
linear: {estimator: sampled, input: scaled, samples: 1000, seed: 7, biases: true}
spectrum:
  matrices: [layer, attention, ffn]
  values: all
  count: 8
  solver: slepc
eigenpairs: auto
figures: [pdf, svg]
runs:
  - name: base
    checkpoints: base/step_*
  - name: other
    parent: base
    parent_step: 1000
    tokenizer: t
    checkpoints:
      - a/step_1
      - {step: 2, path: b}
"""


def study_seeds():
    put("study", "keys.yaml", STUDY)
    put("study", "small.yaml", b"text: t\nruns: [{name: a, checkpoints: c}]\n")


safetensors_seeds()
gguf_types()
gguf_values()
gguf_tokenizer_seeds()
tokenizer_seeds()
config_seeds()
study_seeds()
