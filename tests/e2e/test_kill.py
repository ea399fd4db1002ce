"""SIGKILL at any moment, then the same command at once: the file of an undisturbed run, nothing stale."""
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p

check = p.Checks()


def wait_for(condition, process, limit_s=60):
    """Waits until something is seen on disk, or the run has ended."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end and process.poll() is None and not condition():
        time.sleep(0.0005)


def kill_launcher(process):
    """mpirun alone: its ranks live on for about a second and hold their lock."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def moments(out):
    """Named moments of a run, as conditions on its folder."""
    units = out / "units" / "base"
    def n_units():
        return len(list(units.glob("*.h5"))) if units.exists() else 0
    return {
        "before the first unit": lambda: (out / ".lock").exists(),
        "inside a unit": lambda: n_units() >= 1,
        "while a unit is written": lambda: units.exists() and any(units.glob(".*.tmp")),
        "during the merge": lambda: any(out.glob(".study.h5*.tmp")),
    }


with p.Scratch() as folder:
    study = p.small_study(folder, steps=(0, 1000, 2500, 8000, 13000))
    arguments = ["run", study, "--progress", "none", "-o"]
    begin = time.monotonic()
    undisturbed = p.run([*arguments, folder / "whole"], 2)
    length = time.monotonic() - begin
    check(undisturbed.returncode == 0, undisturbed.stderr)

    out = folder / "killed"
    draw = random.Random(1)
    plan = [(name, None) for name in moments(out)] + [("at random", draw.random()) for _ in range(10)]
    for number, (name, share) in enumerate(plan):
        out = folder / f"killed{number}"
        process = p.start([*arguments, out], 2)
        if share is None:
            wait_for(moments(out)[name], process)
        else:
            time.sleep(share * length)
        (kill_launcher if number % 2 else p.kill_all)(process)
        again = p.run([*arguments, out], 2)
        check(again.returncode == 0, f"{name} {share}: {again.returncode} {again.stderr}")
        check(p.same(folder / "whole/study.h5", out / "study.h5"), f"{name} {share}: the same file")
        check(p.stale(out) == [], f"{name} {share}: left {p.stale(out)}")
check.done()
