"""Writes the files of tests/oracle/test_torch_files.py: the same tensors by torch.save and as safetensors.

    make_torch_files.py OUT   writes OUT/*.bin, *.pt, *.pth, OUT/sharded/ and tensors.safetensors

Needs torch and safetensors; independent of the C code. tensors.safetensors has each tensor contiguous and
alone; the other files have them as views of all kinds, in every pickle protocol and nesting that torch.save
gives. Files in OUT/refused/ are torch's too, and hold other than tensors, or are of an older format.
"""
import collections
import json
import os
import sys

import numpy as np
import torch
from safetensors.torch import save_file

TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f64": torch.float64,
         "i64": torch.int64, "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8,
         "bool": torch.bool, "c64": torch.complex64, "u16": torch.uint16, "u32": torch.uint32,
         "u64": torch.uint64, "f8_e4m3": torch.float8_e4m3fn, "f8_e5m2": torch.float8_e5m2}


ABOUT = {
    "attributes.pt": "parameters that have attributes",
    "config.json": "empty: the folder is no model",
    "mixed.bin": "tensors beside data of all kinds",
    "no_checksums.bin": "after torch.serialization.set_crc32_options(False)",
    **{f"ordered_{k}.pt": f"an OrderedDict with `_metadata`, pickle protocol {k}" for k in range(2, 6)},
    "parameters.pt": "parameters instead of tensors",
    **{f"plain_{k}.bin": f"a dict, pickle protocol {k}" for k in range(2, 6)},
    "tensors.safetensors": "the same tensors, each contiguous and alone",
    **{f"under_{k}.pth": f"the state dict under '{k}', beside what a training program saves"
       for k in ("model", "model_state_dict", "module", "state_dict")},
}
ABOUT_REFUSED = {
    "config.json": "empty",
    "expanded.pt": "one number seen as a million",
    "no_name.pt": "a tensor alone",
    "numpy_array.pt": "an array of numpy beside a tensor",
    "old_format.bin": "the format before torch 1.6",
    "script.pt": "a TorchScript archive",
    "sparse.pt": "a sparse tensor",
    "two_models.pt": "two state dicts",
    "whole_model.pt": "a module, not its state dict",
}


def numbers(kind, shape, random):
    """Random numbers that fit the type."""
    if kind == "bool":
        return torch.tensor(random.integers(0, 2, shape).astype(bool))
    if kind[0] in "iu":
        return torch.tensor(random.integers(0, 100, shape)).to(TYPES[kind])
    return torch.tensor(random.standard_normal(shape)).to(TYPES[kind])


def views(random):
    """Tensors that share storages, begin inside of them, and run through them in any order."""
    big = numbers("f32", (6, 5, 4), random)
    half = numbers("bf16", (7, 8), random)
    wide = numbers("f64", (9,), random)
    out = {kind: numbers(kind, (3, 4), random) for kind in TYPES}
    out |= {"whole": big, "tied": big, "transposed": big.transpose(0, 2), "permuted": big.permute(1, 2, 0),
            "sliced": big[1:5:2, 1:, ::3], "row": big[3, 2], "column": big[:, 1, 3], "offset": big[2:],
            "expanded": big[0, 0].expand(3, 2, 4), "half_t": half.t(), "half_column": half[:, 5],
            "last": half[6, 7], "every_second": wide[::2], "windows": wide.unfold(0, 3, 1),
            "one_row_t": wide[2:3].unsqueeze(0).t(),
            "scalar": torch.tensor(1.5), "empty": torch.zeros(0, 3), "empty_view": big[6:, 1:2]}
    return out


def files(out, tensors):
    """Name -> what is saved and how."""
    plain = dict(tensors)
    ordered = collections.OrderedDict(tensors)
    ordered._metadata = collections.OrderedDict({"": {"version": 1}, "layer": {"version": 2}})
    parameters = {k: torch.nn.Parameter(v, requires_grad=v.is_floating_point()) for k, v in tensors.items()}
    marked = {k: torch.nn.Parameter(v.clone(), requires_grad=False) for k, v in tensors.items()}
    for v in marked.values():
        v.note = "an attribute"
    rest = {"step": 70, "loss": 0.25, "big": 2 ** 70, "negative": -3, "name": "é", "raw": b"\x00\xff", "none": None,
            "flags": [True, False], "tags": {1, 2}, "size": torch.Size([2, 3]), "device": torch.device("cpu"),
            "dtype": torch.bfloat16, "nested": {"a": {"b": (1, 2, 3, 4)}}, "several": [torch.ones(2)],
            "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.95)}]}}
    for protocol in range(2, 6):
        torch.save(plain, f"{out}/plain_{protocol}.bin", pickle_protocol=protocol)
        torch.save(ordered, f"{out}/ordered_{protocol}.pt", pickle_protocol=protocol)
    for name in ("state_dict", "model", "module", "model_state_dict"):
        torch.save({name: ordered, **rest}, f"{out}/under_{name}.pth")
    torch.save({**plain, **rest}, f"{out}/mixed.bin", pickle_protocol=4)
    torch.save(parameters, f"{out}/parameters.pt")
    torch.save(marked, f"{out}/attributes.pt")
    torch.serialization.set_crc32_options(False)
    torch.save(plain, f"{out}/no_checksums.bin")
    torch.serialization.set_crc32_options(True)


def sharded(out, tensors):
    """Two files and the index that tells which has what."""
    os.makedirs(f"{out}/sharded", exist_ok=True)
    names, where = sorted(tensors), {}
    for k, part in enumerate((names[::2], names[1::2])):
        file = f"pytorch_model-{k + 1:05d}-of-00002.bin"
        torch.save({name: tensors[name] for name in part}, f"{out}/sharded/{file}")
        where |= dict.fromkeys(part, file)
    for path, content in ((f"{out}/sharded/pytorch_model.bin.index.json", {"metadata": {}, "weight_map": where}),
                          (f"{out}/sharded/config.json", {}), (f"{out}/config.json", {})):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)


def refused(out):
    """What torch.save writes too, and is not taken."""
    os.makedirs(f"{out}/refused", exist_ok=True)
    one = {"weight": torch.ones(2)}
    torch.save(one, f"{out}/refused/old_format.bin", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 1), f"{out}/refused/whole_model.pt")
    torch.save({"weight": torch.ones(2), "rng": np.ones(2)}, f"{out}/refused/numpy_array.pt")
    torch.save(torch.ones(2), f"{out}/refused/no_name.pt")
    torch.save({"state_dict": one, "model": one}, f"{out}/refused/two_models.pt")
    torch.save({"a": torch.ones(2).to_sparse()}, f"{out}/refused/sparse.pt")
    torch.save({"a": torch.ones(1).expand(10 ** 6)}, f"{out}/refused/expanded.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), f"{out}/refused/script.pt")
    with open(f"{out}/refused/config.json", "w", encoding="utf-8") as file:
        json.dump({}, file)


def main(out):
    os.makedirs(out, exist_ok=True)
    tensors = views(np.random.default_rng(11))
    save_file({k: v.clone(memory_format=torch.contiguous_format) for k, v in tensors.items()},
              f"{out}/tensors.safetensors", metadata={"torch": torch.__version__})
    files(out, tensors)
    sharded(out, tensors)
    refused(out)
    for folder, about in ((out, ABOUT), (f"{out}/refused", ABOUT_REFUSED)):
        with open(f"{folder}/README.md", "w", encoding="utf-8") as file:
            file.write(f"# Files of torch.save\n\nWritten by tests/oracle/make_torch_files.py with torch {torch.__version__}.\n\n")
            file.writelines(f"- `{name}`: {text}\n" for name, text in about.items())


if __name__ == "__main__":
    main(sys.argv[1])
