"""Tensors of GGUF files are read as the package gguf reads them, bit for bit: every type of blocks.

Random bytes are valid blocks of every type; their scales are then any half, extremes included. NaN
equals NaN: a sum of several has no agreed bits.
"""
import os
import subprocess
import sys

import gguf
import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_gguf
import made_llama as made
import program as p

check = p.Checks()
PRINT_TENSORS = os.path.join(os.environ["SD_BUILD"], "tests", "print_tensors")
TYPES = ("F32", "F16", "BF16", "F64", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
         "Q6_K", "IQ4_NL", "IQ4_XS")
SD = {"F32": 0, "BF16": 1, "F16": 2, "F64": 3}
READ = {0: np.uint32, 1: np.uint16, 2: np.uint16, 3: np.uint64}
# Where halves stand in a block; zero, least and largest numbers of either sign, infinity, NaN.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}
EXTREME = (0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00, 0x7C00, 0xFC00, 0x7E00)
ROWS, COLS, HEADS, KV = 24, 768, 4, 2


def tensor(kind, random):
    """ROWS x COLS random numbers of a type, as bytes; extreme scales in half of the rows."""
    kind_of = gguf.GGMLQuantizationType[kind]
    size, width = gguf.GGML_QUANT_SIZES[kind_of]
    data = random.integers(0, 256, (ROWS, COLS // size, width), np.uint8)
    for at in HALVES.get(kind, []):
        extreme = random.choice(np.array(EXTREME, "<u2"), (ROWS // 2, COLS // size))
        data[::2, :, at:at + 2] = extreme[..., None].view(np.uint8)
    return data.reshape(ROWS, -1)


def expected(kind, data):
    """The bits of the numbers that the reference makes of it; half formats stay as they are."""
    if kind in ("F32", "F16", "BF16", "F64"):
        return data.view(READ[SD[kind]])
    with np.errstate(all="ignore"):
        out = gguf.dequantize(data, gguf.GGMLQuantizationType[kind])
    return np.ascontiguousarray(out, np.float32).view(np.uint32)


def back(rows, heads):
    """Rows of query and key in the order of the original."""
    return rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def read(path, piece):
    """Name -> (format, type, shape, bytes), by the program."""
    result = subprocess.run([PRINT_TENSORS, path, str(piece)], capture_output=True)
    check(result.returncode == 0, f"{path}: {result.stderr}")
    out, rest = {}, result.stdout
    while rest:
        line, rest = rest.split(b"\n", 1)
        name, kind, number, shape, count = line.decode().split(" ")
        out[name] = (kind, int(number), tuple(map(int, shape.split(","))), rest[:int(count)])
        rest = rest[int(count):]
    return out


def same(kind, got, want):
    """Bits are equal, or both are NaN."""
    if got.shape != want.shape:
        return False
    if kind in HALVES:
        nan = np.isnan(got.view(np.float32)) & np.isnan(want.view(np.float32))
        return bool(np.all((got == want) | nan))
    return bool(np.array_equal(got, want))


def main():
    random = np.random.default_rng(11)
    c = made.config(len(TYPES), COLS, 64, HEADS, KV, 6)
    with p.Scratch() as folder:
        path = folder / "all types.gguf"
        data = {kind: tensor(kind, random) for kind in TYPES}
        stored = {"token_embd.weight": ("F32", data["F32"])}
        for layer, kind in enumerate(TYPES):
            for part in ("ffn_up", "attn_q", "attn_k"):
                stored[f"blk.{layer}.{part}.weight"] = (kind, data[kind])
        made_gguf.write(path, c, stored)
        # Pieces that cut numbers, blocks and rows; one that holds all; a whole folder's only file.
        for piece, where in ((4 << 20, path), (1000, path), (37, folder)):
            got = read(where, piece)
            check(len(got) == len(stored), f"{len(got)} tensors, want {len(stored)}")
            for layer, kind in enumerate(TYPES):
                want = expected(kind, data[kind])
                check(kind not in HALVES or len(np.unique(want)) > 64, f"{kind}: a test with many values")
                for part, rows in (("mlp.up_proj", want), ("self_attn.q_proj", back(want, HEADS)),
                                   ("self_attn.k_proj", back(want, KV))):
                    form, number, shape, raw = got[f"model.layers.{layer}.{part}.weight"]
                    check((form, number, shape) == (kind, SD.get(kind, 0), (ROWS, COLS)),
                          f"{kind} {part}: {form} {number} {shape}")
                    check(same(kind, np.frombuffer(raw, READ[number]).reshape(ROWS, -1), rows),
                          f"{kind} {part} in pieces of {piece}: other bits")


main()
check.done()
