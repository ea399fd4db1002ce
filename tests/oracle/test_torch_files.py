"""Every tensor of every file that torch.save wrote is, bit for bit, what torch stored as safetensors.

The files are torch's own, written by make_torch_files.py: views of all kinds, all types, protocols and nestings.
Reading in pieces of any length gives the same bytes.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p

check = p.Checks()
PRINT_TENSORS = os.path.join(os.environ["SD_BUILD"], "tests", "print_tensors")
FOLDER = Path(os.environ["SD_TEST_DATA"]) / "torch"
NO_USE = ("which weights have no use for and which could run code when torch loads it; nothing of it was run. "
          "Save the tensors alone (model.state_dict())")
REFUSED = {
    "old_format.bin": "is no zip archive, as torch.save writes it: this is the format that torch wrote before 1.6: "
                      "load it and save it again with a newer one",
    "whole_model.pt": f"data.pkl: refers to 'torch.nn.modules.linear.Linear', {NO_USE}",
    "numpy_array.pt": f"data.pkl: refers to 'numpy._core.multiarray._reconstruct', {NO_USE}",
    "script.pt": "'script/code/__torch__/torch/nn/modules/linear.py' is compressed, as in a TorchScript archive and "
                 "never in a file of torch.save; save the tensors alone (model.state_dict())",
    "sparse.pt": f"data.pkl: refers to 'torch._utils._rebuild_sparse_tensor', {NO_USE}",
    "no_name.pt": "has no tensors with names, neither by itself nor under 'state_dict', 'model', 'module' or "
                  "'model_state_dict'",
    "two_models.pt": "holds more than one of 'state_dict', 'model', 'module' and 'model_state_dict'; save the one "
                     "that is meant alone",
    "expanded.pt": "its tensors repeat what it stores more than 16 times, at 'a': expanded tensors have to be saved "
                   "without their copies",
}


def printed(path, piece):
    return subprocess.run([PRINT_TENSORS, path, str(piece)], capture_output=True)


def main():
    files = sorted(x for x in FOLDER.iterdir() if x.suffix in (".bin", ".pt", ".pth")) + [FOLDER / "sharded"]
    check(len(files) == 17, f"17 files, are {len(files)}")
    for piece in (1, 7, 64, 100000):
        want = printed(FOLDER / "tensors.safetensors", piece)
        check(want.returncode == 0 and want.stdout.count(b"\n") >= 33, f"the reference: {want.stderr}")
        for path in files:
            got = printed(path, piece)
            check(got.returncode == 0 and got.stdout == want.stdout, f"{path.name} in {piece}: {got.stderr}")
    for name, says in REFUSED.items():
        got = printed(FOLDER / "refused" / name, 64)
        check(got.returncode == 3 and got.stderr.decode() == f"{name}: {says}\n", f"{name}: {got.stderr.decode()}")
    named = {x.name for x in (FOLDER / "refused").iterdir()} - {"config.json", "README.md"}
    check(named == set(REFUSED), f"all refused files are held: {named ^ set(REFUSED)}")
    check(re.search("torch 2", (FOLDER / "README.md").read_text()), "the version is recorded")


main()
check.done()
