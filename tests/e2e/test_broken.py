"""Five broken checkpoints among eight: each named in one line, the other three complete, exit 3."""
import json
import os
import struct
import sys

import h5py

sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p

check = p.Checks()
BROKEN = {"truncated": 250, "nans": 500, "contradicts": 1000, "empty": 1500, "long_header": 2000}
GOOD = {"first": 0, "middle": 2500, "last": 13000}


def break_checkpoint(name, folder):
    weights = folder / "model.safetensors"
    data = weights.read_bytes()
    if name == "truncated":
        weights.write_bytes(data[: len(data) // 2])
    elif name == "nans":
        header = struct.unpack("<Q", data[:8])[0]
        place = json.loads(data[8:8 + header])["model.layers.3.mlp.up_proj.weight"]["data_offsets"][0]
        at = 8 + header + place + 2 * 77
        weights.write_bytes(data[:at] + b"\xc0\x7f" + data[at + 2:])  # a bf16 NaN
    elif name == "contradicts":
        config = json.loads((folder / "config.json").read_text())
        config["intermediate_size"] = 180
        (folder / "config.json").write_text(json.dumps(config))
    elif name == "empty":
        weights.write_bytes(b"")
    elif name == "long_header":
        weights.write_bytes(struct.pack("<Q", 1 << 63) + data[8:])


with p.Scratch() as folder:
    entries = []
    for name, step in {**BROKEN, **GOOD}.items():
        place = p.copy_step(folder, f"{name} é", step)
        if name in BROKEN:
            break_checkpoint(name, place)
        entries.append(f"{{step: {step}, path: '{name} é'}}")
    study = folder / "study.yaml"
    study.write_text(f"text: '{p.DEMO}/heldout.txt'\ntokenizer: '{p.DEMO}/tokenizer.json'\n{p.SMALL}"
                     f"runs:\n  - name: mixed\n    checkpoints: [{', '.join(entries)}]\n"
                     "  - {name: team, checkpoints: [{step: 1, path: 'nans é'}]}\n")
    for ranks in (1, 3):
        out = folder / f"out{ranks}"
        result = p.run(["run", study, "-o", out, "--progress", "plain"], ranks, timeout=120)
        check(result.returncode == 3, f"{ranks} ranks: exit {result.returncode}, {result.stderr}")
        lines = p.messages(result)
        for name in BROKEN:
            named = [line for line in lines if f"{name} é:" in line]
            want = 2 if name == "nans" else 1  # it stands in two runs
            check(len(named) == want, f"{ranks} ranks: '{name}' is named in {named}")
        check(len(lines) == 6, f"{ranks} ranks: {lines}")
        with h5py.File(out / "study.h5") as file:
            check(list(file["runs/mixed/step"]) == sorted(GOOD.values()), "the other three are there")
            check(len(file["failures/path"]) == 6, "failures are recorded")
            check("team" not in file["runs"], "a run without a complete step has no group")
        check(p.run(["check", out / "study.h5"]).returncode == 0, "the file is sound")
    check(p.same(folder / "out1/study.h5", folder / "out3/study.h5"), "1 and 3 ranks agree")

    # On a team of three a broken checkpoint hangs nobody either.
    study.write_text(study.read_text() + "teams: {size: 3}\n")
    result = p.run(["run", study, "-o", folder / "team", "--progress", "none"], 3, timeout=120)
    check(result.returncode == 3 and len(p.messages(result)) == 6, f"a team: {result.stderr}")

    # Mended, the same command does the rest.
    for name, step in BROKEN.items():
        p.shutil.rmtree(folder / f"{name} é")
        p.copy_step(folder, f"{name} é", step)
    result = p.run(["run", study, "-o", folder / "out1", "--progress", "plain"], 2)
    check(result.returncode == 0, f"mended: {result.stderr}")
    check(result.stderr.count(" kept,") == 3, f"three are kept: {result.stderr}")
check.done()
