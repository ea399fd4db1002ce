"""The demo on 1, 2, 3 and 4 ranks, in teams of one and of several: the same bits."""
import os
import sys

import h5py

sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p

check = p.Checks()

with p.Scratch() as folder:
    demo = p.SOURCE / "configs/demo/demo.yaml"
    text = demo.read_text().replace("tinyrun/", f"{p.DEMO}/")
    for name, more in (("whole", ""), ("teams", "teams: {size: 3}\n")):
        (folder / f"{name}.yaml").write_text(f"{text}figures: none\nsubspace: true\n{more}")
    for name, ranks in (("whole", 1), ("whole", 2), ("whole", 3), ("whole", 4), ("teams", 4)):
        out = folder / f"{name}{ranks}"
        result = p.run(["run", folder / f"{name}.yaml", "-o", out, "--progress", "none"], ranks)
        check(result.returncode == 0 and result.stderr == "",
              f"{name} on {ranks} ranks: {result.returncode} {result.stderr}")
    for ranks in (2, 3, 4):
        check(p.same(folder / "whole1/study.h5", folder / f"whole{ranks}/study.h5"),
              f"{ranks} ranks give what 1 gives")
    with h5py.File(folder / "whole1/study.h5") as a, h5py.File(folder / "teams4/study.h5") as b:
        pairs = []
        a["runs"].visititems(lambda name, item: pairs.append(name)
                             if isinstance(item, h5py.Dataset) else None)
        for name in pairs:
            check(a["runs"][name][()].tobytes() == b["runs"][name][()].tobytes(),
                  f"a team of three gives what one rank gives: {name}")
check.done()
