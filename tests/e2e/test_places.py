"""What a path may mean: a model in the hub's cache as a training run, and adapters on their base.

The studies equal those of the same weights in plain folders, bit by bit.
"""
import hashlib
import json
import os
import shutil
import sys

import h5py
import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p
from llama_numpy import read_safetensors, write_safetensors

check = p.Checks()
STEPS = (0, 2500, 13000)
NAMES = {0: "step0", 2500: "stage1-step2500-tokens1B", 13000: "step13000"}


def cache_model(folder):
    """The demo's checkpoints as the hub's tools would have fetched them, one revision each."""
    for part in ("blobs", "refs", "snapshots"):
        (folder / part).mkdir(parents=True)
    for step in STEPS:
        source = p.DEMO / "base" / f"step_{step:06d}"
        commit = hashlib.sha1(NAMES[step].encode()).hexdigest()
        (folder / "snapshots" / commit).mkdir()
        (folder / "refs" / NAMES[step]).write_text(commit)
        for file in (source / "config.json", source / "model.safetensors", p.DEMO / "tokenizer.json"):
            blob = hashlib.sha256(file.read_bytes()).hexdigest()
            shutil.copyfile(file, folder / "blobs" / blob)
            (folder / "snapshots" / commit / file.name).symlink_to(f"../../blobs/{blob}")
    (folder / "refs" / "main").write_text(commit)


def numbers(file):
    """All datasets of the run but its paths."""
    out = {}
    with h5py.File(file) as study:
        study["runs/base"].visititems(lambda name, item: out.update({name: item[()].tobytes()})
                                      if isinstance(item, h5py.Dataset) and name != "path" else None)
        return out, [x.decode() for x in study["runs/base/path"][()]]


def run(study, out):
    result = p.run(["run", study, "-o", out, "--progress", "none"])
    check(result.returncode == 0 and result.stderr == "", f"{out.name}: {result.returncode} {result.stderr}")
    return out / "study.h5"


def a_model_of_the_hub_is_a_run(folder):
    cache_model(folder / "models--org--tiny")
    plain, paths = numbers(run(p.small_study(folder, STEPS), folder / "plain"))
    check(len(paths) == 3 and len(plain) > 40, "the plain study is whole")
    want = [f"models--org--tiny/refs/{NAMES[step]}" for step in STEPS]
    # No `tokenizer`: each snapshot has its own.
    text = f"text: '{p.DEMO}/heldout.txt'\n{p.SMALL}runs:\n  - name: base\n    checkpoints: "
    for name, what in {"series": "models--org--tiny", "globs": "'models--org--tiny/refs/*step*'",
                       "snapshots": "models--org--tiny/snapshots/*"}.items():
        study = folder / f"{name}.yaml"
        study.write_text(text + what + "\n")
        got, paths = numbers(run(study, folder / name))
        check(got == plain, f"{name}: the numbers of the plain study")
        check(paths == want if name != "snapshots" else all("/snapshots/" in x for x in paths), f"{name}: {paths}")
    first = p.run(["inspect", folder / "models--org--tiny/refs/step13000"])
    main = p.run(["inspect", folder / "models--org--tiny"])
    check(first.returncode == 0 and first.stdout.splitlines()[1:] == main.stdout.splitlines()[1:],
          f"the revision main: {main.stdout} {main.stderr}")
    # One that is not whole fails alone.
    blob = os.readlink(folder / "models--org--tiny/snapshots" / hashlib.sha1(b"step0").hexdigest() / "model.safetensors")
    (folder / "models--org--tiny/blobs" / os.path.basename(blob)).unlink()
    result = p.run(["run", folder / "series.yaml", "-o", folder / "broken", "--progress", "none"])
    check(result.returncode == 3 and p.messages(result) == [
        "singdef: models--org--tiny/refs/step0: model.safetensors: is a link to nothing: copy it with what it points "
        "to, or download it again"], f"a blob is gone: {result.stderr}")


def write_adapter(folder, base, random):
    """Factors of short numbers: sums of their products are exact, in any order. Returns what is merged."""
    tensors = read_safetensors(base / "model.safetensors")
    adapter, merged = {}, dict(tensors)
    for name, w in tensors.items():
        if not name.endswith(("q_proj.weight", "down_proj.weight")):
            continue
        a, b = (random.integers(-8, 8, shape) / 64 for shape in ((4, w.shape[1]), (w.shape[0], 4)))
        at = "base_model.model." + name[:-len("weight")]
        adapter |= {at + "lora_A.weight": a, at + "lora_B.weight": b}
        merged[name] = w + b @ a / 2
    adapter["base_model.model.model.norm.weight"] = merged["model.norm.weight"] = tensors["model.norm.weight"] / 2
    folder.mkdir()
    write_safetensors(folder / "adapter_model.safetensors", adapter, "F32")
    (folder / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": 4, "lora_alpha": 2, "base_model_name_or_path": "somebody/else", "bias": "none",
         "target_modules": ["q_proj", "down_proj"], "modules_to_save": ["norm"]}))
    return merged


def an_adapter_is_its_merged_model(folder):
    base = folder / "base"
    p.copy_step(folder, "demo", 13000)
    shutil.copytree(folder / "demo", base)
    write_safetensors(base / "model.safetensors", read_safetensors(folder / "demo/model.safetensors"), "F32")
    shutil.copyfile(p.DEMO / "tokenizer.json", base / "tokenizer.json")
    model = folder / "tuned/checkpoint-50"
    model.parent.mkdir()
    merged = write_adapter(model, base, np.random.default_rng(5))
    study = folder / "study.yaml"
    study.write_text(f"text: '{p.DEMO}/heldout.txt'\n{p.SMALL}runs:\n  - name: base\n    checkpoints: "
                     "[{step: 0, path: base}, 'tuned/checkpoint-*']\n    base: base\n")
    first = run(study, folder / "one")
    says = p.run(["inspect", "--base", base, model])
    check(says.returncode == 0 and f"adapter on   {base}\n" in says.stdout, f"inspect: {says.stdout} {says.stderr}")
    check(p.run(["inspect", model]).stderr == f"singdef: {model}: adapter_config.json: its base 'somebody/else' is "
          "not found; give it by 'base' of the run, or by --base\n", "inspect without --base")
    kept = shutil.move(model, folder / "adapter")
    shutil.copytree(base, model)
    write_safetensors(model / "model.safetensors", merged, "F32")
    check(p.same(first, run(study, folder / "two")), "the study of the merged model")
    # The comparison notices half of the scale.
    shutil.rmtree(model)
    shutil.move(kept, model)
    config = model / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 2', '"lora_alpha": 1'))
    check(numbers(run(study, folder / "three"))[0] != numbers(first)[0], "another scale is seen")


with p.Scratch() as scratch:
    a_model_of_the_hub_is_a_run(scratch)
with p.Scratch() as scratch:
    an_adapter_is_its_merged_model(scratch)
check.done()
