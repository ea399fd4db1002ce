"""Runs the program under test, for the end-to-end tests. Paths come from ctest's environment."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SINGDEF = os.environ["SINGDEF"]
MPIEXEC = os.environ.get("MPIEXEC", "mpirun")
SOURCE = Path(os.environ["SD_SOURCE"])
DEMO = SOURCE / "configs" / "demo" / "tinyrun"

SMALL = "measure: {sequences: 16, length: 64}\nfigures: none\n"


def command(arguments, ranks=None):
    """The command line of the program, alone or on a number of ranks."""
    words = [SINGDEF, *map(str, arguments)]
    return words if ranks is None else [MPIEXEC, "-n", str(ranks), *words]


def run(arguments, ranks=None, timeout=240, cwd=None):
    """Runs to the end. A hang is a failure of the test: subprocess raises TimeoutExpired."""
    return subprocess.run(command(arguments, ranks), capture_output=True, text=True,
                          timeout=timeout, cwd=cwd)


def start(arguments, ranks=None, cwd=None):
    """Starts in a session of its own, so that all of it can be killed at once."""
    return subprocess.Popen(command(arguments, ranks), stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=cwd)


def kill_all(process):
    """SIGKILL to the launcher and to every rank."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def messages(result):
    """The message lines of a run."""
    return [line for line in result.stderr.splitlines() if line.startswith("singdef: ")]


def same(first, second):
    """Whether two result files are the same outside /provenance, bit by bit."""
    result = subprocess.run([sys.executable, SOURCE / "tests/support/compare_study.py", first, second],
                            capture_output=True, text=True)
    if result.returncode != 0:
        print(result.stdout, result.stderr)
    return result.returncode == 0


def stale(folder):
    """Temporary files that are left below a folder."""
    return [str(p) for p in Path(folder).rglob("*") if p.name.endswith(".tmp")]


class Scratch:
    """A folder that is removed at the end, with a space and a letter beyond ASCII in its name."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="singdef é "))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def copy_step(folder, name, step):
    """A checkpoint of the demo's base run under another name."""
    shutil.copytree(DEMO / "base" / f"step_{step:06d}", folder / name)
    return folder / name


def small_study(folder, steps=(0, 2500, 13000), more=""):
    """A study of a few of the demo's checkpoints on little text."""
    study = folder / "study.yaml"
    paths = ", ".join(f"{{step: {s}, path: '{DEMO}/base/step_{s:06d}'}}" for s in steps)
    study.write_text(f"text: '{DEMO}/heldout.txt'\ntokenizer: '{DEMO}/tokenizer.json'\n{SMALL}"
                     f"runs:\n  - name: base\n    checkpoints: [{paths}]\n{more}")
    return study


class Checks:
    """CHECK of the Python tests: a failure is printed, and the test goes on."""

    def __init__(self):
        self.failures = 0

    def __call__(self, condition, text):
        if not condition:
            self.failures += 1
            print(f"not true: {text}")

    def done(self):
        sys.exit(1 if self.failures else 0)
