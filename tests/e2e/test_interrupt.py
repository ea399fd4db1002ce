"""SIGUSR1 and SIGTERM: exit 75 within 5 seconds, and the same command resumes to the same result."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p

check = p.Checks()


def signal_ranks(out, number):
    """Signals every rank of a run: the launcher puts them into process groups of their own."""
    found = subprocess.run(["pgrep", "-f", f"^{p.SINGDEF} run .*/{out.name}$"], capture_output=True,
                           text=True).stdout.split()
    for pid in found:
        os.kill(int(pid), number)


def stop(arguments, ranks, number, out, to_ranks):
    """Signals a run once its first unit is there; exit status and seconds until its end."""
    process = p.start(arguments, ranks)
    while process.poll() is None and not any(out.glob("units/base/*.h5")):
        time.sleep(0.01)
    if to_ranks:  # as srun does: every rank gets it, the launcher does not
        signal_ranks(out, number)
    else:
        process.send_signal(number)
    begin = time.monotonic()
    text = process.communicate(timeout=60)[1]
    return process.returncode, time.monotonic() - begin, text


with p.Scratch() as folder:
    steps = (0, 250, 500, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 8000)
    study = p.small_study(folder, steps=steps)
    arguments = ["run", study, "--progress", "none", "-o"]
    check(p.run([*arguments, folder / "whole"], 2).returncode == 0, "an undisturbed run")
    cases = [("alone", None, signal.SIGTERM, False), ("one", None, signal.SIGUSR1, False),
             ("forwarded", 2, signal.SIGUSR1, False), ("ranks", 3, signal.SIGTERM, True)]
    for name, ranks, number, to_ranks in cases:
        out = folder / name
        status, seconds, text = stop([*arguments, out], ranks, number, out, to_ranks)
        check(status == 75, f"{name}: exit {status}: {text}")
        check(seconds <= 5, f"{name}: took {seconds:.1f} s")
        check("stopped" in text, f"{name}: says how to go on: {text}")
        check(len(list(out.glob("units/base/*.h5"))) < len(steps), f"{name}: was stopped in the middle")
        again = p.run([*arguments, out], 2)
        check(again.returncode == 0, f"{name}: resumed: {again.stderr}")
        check(p.same(folder / "whole/study.h5", out / "study.h5"), f"{name}: the same result")
        check(p.stale(out) == [], f"{name}: nothing stale")

    # A second run on the same folder waits for the first and then changes nothing.
    holder = p.start([*arguments, folder / "held"], 2)
    while not (folder / "held/.lock").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    signal_ranks(folder / "held", signal.SIGSTOP)
    before = sorted(str(f) for f in (folder / "held").rglob("*"))
    second = p.run([*arguments, folder / "held"], 2)
    after = sorted(str(f) for f in (folder / "held").rglob("*"))
    check(second.returncode == 4, f"a second run: exit {second.returncode} {second.stderr}")
    check(before == after, "a second run changes nothing")
    signal_ranks(folder / "held", signal.SIGCONT)
    holder.communicate(timeout=120)
    check(holder.returncode == 0, "the first run ends well")
check.done()
