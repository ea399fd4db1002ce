"""Adapters on their bases equal PEFT's merge, and one in float64 numpy; any range reads alike.

PEFT's numbers are in float64, their order of sums is another: a number may round to the other
neighbour in F32, so it lies within half a unit of F32, 2^-24 of itself, and 1e-13 for the sums.
Numpy's cases are of short numbers: every product and sum is exact, and so every bit is held.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_torch
import program as p
from llama_numpy import from_stored, read_safetensors, to_stored

check = p.Checks()
PRINT_TENSORS = os.path.join(os.environ["SD_BUILD"], "tests", "print_tensors")
DATA = Path(os.environ["SD_TEST_DATA"]) / "adapters"
KIND = {0: "F32", 1: "BF16", 2: "F16", 3: "F64"}


def read(path, piece=1 << 20):
    """Name -> (format, numbers), by the program."""
    result = subprocess.run([PRINT_TENSORS, path, str(piece)], capture_output=True)
    check(result.returncode == 0, f"{path}: {result.stderr}")
    out, data = {}, result.stdout
    while data:
        line, data = data.split(b"\n", 1)
        name, kind, dtype, shape, size = line.decode().split(" ")
        size = int(size)
        out[name] = (kind, from_stored(KIND[int(dtype)], data[:size]).reshape([int(n) for n in shape.split(",")]))
        data = data[size:]
    return out


def of_peft(case):
    merged = read_safetensors(case / "merged.safetensors")
    base = read_safetensors(case / json.loads((case / "adapter_config.json").read_text())["base_model_name_or_path"]
                            / "model.safetensors")
    got = read(case)
    check(set(got) == set(base), f"{case.name}: the base's names")
    check(set(merged) <= set(base) and len(merged) > 1, f"{case.name}: what changes is the base's")
    for name, (kind, values) in got.items():
        want = merged.get(name, base[name])
        check(kind == "F32" and values.shape == want.shape, f"{case.name}: {name}: {kind} {values.shape}")
        error = np.abs(values - want)
        check(np.all(error <= 2.0 ** -24 * np.abs(want) + (1e-13 if name in merged else 0)),
              f"{case.name}: {name}: off by {error.max()}")
    return len(merged)


def short(random, shape, bits=6):
    return random.integers(-2 ** bits, 2 ** bits, shape) / 2.0 ** bits


def write(path, tensors):
    """name -> (kind, numbers), each in a format of its own."""
    header, data = {}, b""
    for name, (kind, values) in tensors.items():
        piece = to_stored(kind, values)
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def of_numpy(folder, random, kinds, rows, cols, rank, transposed):
    """A matrix and an embedding of any shape; the base and the factors in any format.

    Where the matrix is transposed, the adapter brings an embedding of its own. Its factors lie in
    safetensors, then in a file of torch.save, each second one by columns.
    """
    base, factor = kinds
    adapter = folder / "adapter"
    adapter.mkdir(parents=True)
    w = short(random, (cols, rows) if transposed else (rows, cols))
    e = short(random, (rows, cols))
    write(folder / "model.safetensors", {"m.weight": (base, w), "e.weight": (base, e), "other": (base, e)})
    (folder / "config.json").write_text("{}")
    a, b, ea, eb = (short(random, s) for s in ((rank, cols), (rows, rank), (rank, rows), (cols, rank)))
    at = "base_model.model."
    own = {at + "e.base_layer.weight": (factor, short(random, (rows, cols)))} if transposed else {}
    factors = {at + "m.lora_A.weight": (factor, a), at + "m.lora_B.weight": (factor, b),
               at + "e.lora_embedding_A": (factor, ea), at + "e.lora_embedding_B": (factor, eb)} | own
    (adapter / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": rank, "lora_alpha": rank / 2, "fan_in_fan_out": transposed,
         "base_model_name_or_path": ".."}))
    product = b @ a / 2
    start = next(iter(own.values()))[1] if own else e
    want = {"m.weight": w + (product.T if transposed else product), "e.weight": start + (eb @ ea).T / 2, "other": e}
    write(adapter / "adapter_model.safetensors", factors)
    hold(adapter, base, want, f"{base} {factor} {rows} x {cols}, rank {rank}")
    (adapter / "adapter_model.safetensors").unlink()
    made_torch.write(adapter / "adapter_model.bin",
                     {name: made_torch.dense(*f, "CF"[i % 2]) for i, (name, f) in enumerate(factors.items())})
    hold(adapter, base, want, f"torch {base} {factor} {rows} x {cols}, rank {rank}")


def hold(adapter, base, want, label):
    """Every number is as wanted, to the bit, whatever the pieces."""
    cols = want["e.weight"].shape[1]
    for piece in (1 << 20, 4 * cols, 4 * cols * 5 + 4, 52, 7):
        got = read(adapter, piece)
        for name, values in want.items():
            exact = values.astype(np.float32) if name != "other" else from_stored(base, to_stored(base, values))
            check(got[name][0] == ("F32" if name != "other" else base), f"{label}: {name} is {got[name][0]}")
            check(np.array_equal(got[name][1], exact.reshape(got[name][1].shape)),
                  f"{label}: {name} in pieces of {piece}")


def main():
    cases = sorted(path for path in DATA.iterdir() if (path / "adapter_config.json").exists())
    check(len(cases) >= 9, f"{len(cases)} cases of PEFT's")
    changed = sum(of_peft(case) for case in cases)
    check(changed >= 40, f"{changed} changed tensors")
    random = np.random.default_rng(6)
    with p.Scratch() as folder:
        for k, (kinds, shape) in enumerate({
                ("F32", "F32"): (9, 20, 3), ("BF16", "F32"): (4, 300, 2), ("F16", "BF16"): (13, 257, 5),
                ("F64", "F16"): (1, 16, 1), ("BF16", "F64"): (30, 1, 4), ("F32", "BF16"): (5, 512, 7)}.items()):
            for transposed in (False, True):
                of_numpy(folder / f"{k}{transposed}", random, kinds, *shape, transposed)


main()
check.done()
