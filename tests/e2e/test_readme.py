"""Every command of README.md, the test command aside, runs; in a copy of the tree, in a folder with a
space and an é in its name.

Blocks are run in the page's order: `sh` by bash, line by line; `python` by the tests' Python; the
`yaml` block is saved under the name that the page gives it. Of the line for Slurm the script is
run, by mpirun where there is no cluster: tests/e2e/test_slurm.sh holds it under a real one.
"""
import os
import re
import shutil
import subprocess
import sys

import h5py
import xarray  # noqa: F401  the page's Python uses it

sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p

check = p.Checks()
TESTS = "bash tests/run.sh"


def blocks(text):
    """Language and content of every fenced block that names its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def copy_tree(to):
    """The tracked files, as a clone has them."""
    listed = subprocess.run(["bash", "-c", ". tests/lint/tracked.sh; tracked '*'"], cwd=p.SOURCE,
                            check=True, capture_output=True, text=True).stdout.splitlines()
    for name in listed:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(p.SOURCE / name, to / name)


def run(words, root, timeout=600):
    result = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=timeout,
                            stdin=subprocess.DEVNULL)
    check(result.returncode == 0,
          f"{words[-1]}: status {result.returncode}\n{result.stdout[-2000:]}{result.stderr[-2000:]}")


def shell(block, root):
    for line in block.splitlines():
        if not line.strip() or line == TESTS:
            continue
        sbatch = re.fullmatch(r"sbatch (?:--\S+ )*(jobs/slurm/study\.sbatch .*)", line)
        if sbatch:
            print(f"not submitted, run by mpirun: {line}")
            line = f"LAUNCH='{p.MPIEXEC} -n 2' bash {sbatch.group(1)}"
        run(["bash", "-ec", line], root)


text = (p.SOURCE / "README.md").read_text(encoding="utf-8")
found = blocks(text)
check([name for name, _ in found] == ["sh", "yaml", "sh", "sh", "python"], f"the blocks are {found}")
check(TESTS in text and "bash jobs/demo.sh" in text, "the two commands are there")

with p.Scratch() as folder:
    root = folder / "singdef"
    copy_tree(root)
    for language, block in found:
        if language == "yaml":
            (root / re.search(r"Save this as `([\w.]+)`", text).group(1)).write_text(block)
        elif language == "sh":
            shell(block, root)
        else:
            run([sys.executable, "-c", block], root)
    inline = re.search(r"`(cmake --install build --prefix )DIR`", text)
    check(inline is not None, "the page says how to install")
    run(["bash", "-ec", inline.group(1) + "install && install/bin/singdef --version"], root)

    # What the page says of the results.
    for name in re.findall(r"\]\(([^)]+)\)", text) + re.findall(r"\b(docs/\w+\.md)", text):
        check((root / name).exists(), f"the page names {name}")
    for place in ("results/demo/study.h5", "results/demo/figures/stabilisation.png",
                  "results/my_study/figures/norms.pdf", "results/cluster/study.h5"):
        check((root / place).exists(), f"the page's commands make {place}")
    check(p.same(root / "results/my_study/study.h5", root / "results/four/study.h5"),
          "one rank and four give the same numbers")
    with h5py.File(root / "results/my_study/study.h5") as file:
        check(list(file["runs"]) == ["main", "tuned"], "the first study has its two runs")
check.done()
