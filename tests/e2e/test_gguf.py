"""The same weights in safetensors and in GGUF, in F32, F16 and BF16: the same result, bit by bit."""
import os
import re
import shutil
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_gguf
import made_llama as made
import program as p

check = p.Checks()
KINDS = ("F32", "F16", "BF16")
# Heads on fewer keys, with and without a width of their own; biases, scaled positions, an output of its own.
SHAPES = {"tied": made.config(3, 48, 64, 4, 2, 12, bos_token_id=1),
          "untied": made.config(2, 32, 40, 6, 3, 8, bos_token_id=1, tie_word_embeddings=False,
                                rope_theta=123456.7, rms_norm_eps=3e-6, attention_bias=True, mlp_bias=True,
                                rope_scaling={"rope_type": "linear", "factor": 2.6})}


def measure(folder, name):
    """What the folder `model` gives, in either form: the study is the same text."""
    result = p.run(["run", folder / "study.yaml", "-o", folder / name, "--progress", "none"])
    check(result.returncode == 0 and result.stderr == "", f"{name}: {result.returncode} {result.stderr}")
    return folder / name / "study.h5"


def inspected(path):
    """What `inspect` prints, the path aside."""
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
        for shape, config in SHAPES.items():
            model = made.random_llama(config, 8)
            for kind in KINDS:
                name = f"{shape}_{kind}"
                model.write(folder / "model", kind)
                first = measure(folder, name + "_one")
                says = inspected(folder / "model")
                shutil.rmtree(folder / "model")
                (folder / "model").mkdir()
                made_gguf.write_llama(folder / "model/weights.gguf", model, kind)
                second = measure(folder, name + "_two")
                check(p.same(first, second), f"{name}: the same numbers")
                check(says == inspected(folder / "model/weights.gguf"), f"{name}: the same model")
                shutil.rmtree(folder / "model")
        # The comparison notices a row in a wrong place.
        kept, made_gguf.turned = made_gguf.turned, lambda rows, heads: rows
        made_gguf.write_llama(folder / "wrong.gguf", model, kind)
        made_gguf.turned = kept
        check(says != inspected(folder / "wrong.gguf"), "rows in a wrong order are seen")


main()
check.done()
