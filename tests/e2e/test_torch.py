"""The same weights in safetensors and as torch.save writes them, whole and in shards: the same result, bit by bit."""
import os
import re
import shutil
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_llama as made
import made_torch
import program as p

check = p.Checks()
CONFIG = made.config(2, 32, 40, 4, 2, 8, bos_token_id=1, tie_word_embeddings=False, attention_bias=True)


def measure(folder, name):
    """What the folder `model` gives, in whatever form: the study is the same text."""
    result = p.run(["run", folder / "study.yaml", "-o", folder / name, "--progress", "none"])
    check(result.returncode == 0 and result.stderr == "", f"{name}: {result.returncode} {result.stderr}")
    return folder / name / "study.h5"


def inspected(path):
    """What `inspect` prints, the path and the file's names aside."""
    result = p.run(["inspect", path])
    check(result.returncode == 0, f"inspect {path}: {result.stderr}")
    return re.sub(r"^checkpoint .*\n", "", result.stdout)


def main():
    with p.Scratch() as folder:
        random = np.random.default_rng(4)
        rows = [" ".join(map(str, random.integers(2, 61, 24))) for _ in range(6)]
        (folder / "ids.txt").write_text("\n".join(rows) + "\n")
        (folder / "study.yaml").write_text("text: {ids: ids.txt}\nfigures: none\nmeasure: {length: 20, bos: true}\n"
                                           "runs:\n  - {name: base, checkpoints: [{step: 5, path: model}]}\n")
        model = made.random_llama(CONFIG, 8)
        for kind, files in (("F32", 1), ("F16", 3), ("BF16", 1)):
            model.write(folder / "model", kind)
            first = measure(folder, f"{kind}_safetensors")
            says = inspected(folder / "model")
            shutil.rmtree(folder / "model")
            made_torch.write_llama(folder / "model", model, kind, files)
            second = measure(folder, f"{kind}_torch")
            check(p.same(first, second), f"{kind}, {files} files: the same numbers")
            check(says == inspected(folder / "model"), f"{kind}, {files} files: the same model")
            shutil.rmtree(folder / "model")
        # safetensors go first where both are there; the comparison notices other weights.
        model.write(folder / "both", "F32")
        other = made.random_llama(CONFIG, 9)
        made_torch.write_llama(folder / "other", other, "F32")
        says = inspected(folder / "both")
        shutil.copy(folder / "other/pytorch_model.bin", folder / "both")
        check(says == inspected(folder / "both"), "safetensors go first")
        check(says != inspected(folder / "both/pytorch_model.bin"), "other weights are seen")
        # One damaged byte of one tensor: one line, status 3.
        path = folder / "other/pytorch_model.bin"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        result = p.run(["run", folder / "study.yaml", "-o", folder / "damaged", "--progress", "none"])
        check(result.returncode == 3, "a missing model is an input's fault")
        shutil.move(folder / "other", folder / "model")
        result = p.run(["run", folder / "study.yaml", "-o", folder / "damaged", "--progress", "none"])
        check(result.returncode == 3 and re.search(r"^singdef: .*pytorch_model.bin: 'archive/data/\d+' has the checksum "
                                                   r"[0-9a-f]{8}, want [0-9a-f]{8}: the file is damaged; copy it again$",
                                                   result.stderr, re.M), f"damage is seen: {result.stderr}")


main()
check.done()
