"""`singdef inspect` says what the two real models are.

The numbers are those of the models' own cards.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import models
import program as p

SHOWN = {
    models.SMOLLM2: {"family": "llama", "layers": "30", "hidden size": "576",
                     "attention": "9 heads of 64, 3 for keys and values", "vocabulary": "49152, output tied"},
    models.GEMMA3: {"family": "gemma", "layers": "18", "hidden size": "640",
                    "attention": "4 heads of 256, 1 for keys and values", "vocabulary": "262144, output tied"},
}
check = p.Checks()
paths = {name: models.path_or_skip(name) for name in SHOWN}
for name, facts in SHOWN.items():
    result = p.run(["inspect", paths[name]])
    check(result.returncode == 0 and result.stderr == "", f"{name}: {result.returncode} {result.stderr}")
    lines = dict(line.split("  ", 1) for line in result.stdout.splitlines() if "  " in line)
    for key, value in facts.items():
        check(lines.get(key, "").strip().startswith(value), f"{name}: {key} is {lines.get(key)}, want {value}")
    check("xxh3-128:" in result.stdout, f"{name} has a fingerprint")
check.done()
