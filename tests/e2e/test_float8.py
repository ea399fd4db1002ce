"""A model in 8-bit floats gives the study of the same numbers in F32, bit by bit, its fingerprint aside."""
import json
import os
import shutil
import struct
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_llama as made
import program as p
from llama_numpy import Llama

check = p.Checks()
KINDS = {"F8_E4M3": 1, "F8_E5M2": 2}
IGNORED = ["--ignore", "/runs/base/fingerprint"]


def table(column):
    """The values of all bytes, by torch; see tests/oracle/make_float8.py."""
    with open(os.environ["SD_TEST_DATA"] + "/float8.txt", encoding="utf-8") as file:
        bits = [int(line.split()[column], 16) for line in file if line[0] != "#"]
    return np.array(bits, "<u4").view("<f4")


def nearest(values, known):
    """The byte of each value's nearest 8-bit float."""
    finite = np.nonzero(np.isfinite(known))[0]
    at = np.abs(np.asarray(values, np.float64)[..., None] - known[finite].astype(float)).argmin(axis=-1)
    return finite[at].astype(np.uint8)


def write(folder, config, kind, tensors):
    folder.mkdir()
    header, data = {}, b""
    for name, values in tensors.items():
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [len(data), len(data) + values.size]}
        data += values.tobytes()
    text = json.dumps(header).encode()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def measure(folder, name):
    result = p.run(["run", folder / "study.yaml", "-o", folder / name, "--progress", "none"])
    check(result.returncode == 0 and result.stderr == "", f"{name}: {result.returncode} {result.stderr}")
    shutil.rmtree(folder / "model")
    return folder / name / "study.h5"


def compare(first, second, options):
    script = os.environ["SD_SOURCE"] + "/tests/support/compare_study.py"
    return subprocess.run([sys.executable, script, first, second, *options], capture_output=True, text=True)


def main():
    config = made.config(2, 32, 40, 4, 2, 8, bos_token_id=1)
    model = made.random_llama(config, 8)
    with p.Scratch() as folder:
        random = np.random.default_rng(4)
        rows = [" ".join(map(str, random.integers(2, 61, 24))) for _ in range(4)]
        (folder / "ids.txt").write_text("\n".join(rows) + "\n")
        (folder / "study.yaml").write_text("text: {ids: ids.txt}\nfigures: none\n"
                                           "runs:\n  - {name: base, checkpoints: [{step: 5, path: model}]}\n")
        for kind, column in KINDS.items():
            known = table(column)
            stored = {name: nearest(values, known) for name, values in model.tensors.items()}
            write(folder / "model", config, kind, stored)
            says = p.run(["inspect", folder / "model"])
            check(says.returncode == 0 and kind in says.stdout, f"inspect: {says.stdout} {says.stderr}")
            first = measure(folder, kind)
            Llama(config, {name: known[values] for name, values in stored.items()}).write(folder / "model", "F32")
            second = measure(folder, kind + "_wide")
            result = compare(first, second, IGNORED)
            check(result.returncode == 0, f"{kind}: {result.stdout}")
            check(compare(first, second, []).returncode == 1, "the fingerprint tells them apart")
            stored["model.layers.0.mlp.up_proj.weight"][0, 0] = 0x7F if kind == "F8_E4M3" else 0x7C
            write(folder / "model", config, kind, stored)
            broken = p.run(["run", folder / "study.yaml", "-o", folder / (kind + "_broken"), "--progress", "none"])
            check(broken.returncode == 3 and "up_proj" in broken.stderr, f"NaN and infinity: {broken.stderr}")
            shutil.rmtree(folder / "model")


main()
check.done()
