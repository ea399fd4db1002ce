"""The command line as a person meets it: help, and what is said when something is wrong.

Each case holds the exit status, that there is exactly one line on stderr beginning with `singdef: `
and nothing else there, and what that line must say.
"""
import os
import shutil
import subprocess
import sys

import h5py

sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p

check = p.Checks()
COMMANDS = {"run": ["--output DIR", "--progress MODE", "STUDY.yaml"], "inspect": ["--base PATH", "--families", "--tensors", "--sha256", "MODEL"],
            "figures": ["--output DIR", "--formats LIST", "STUDY.h5"], "check": ["STUDY.h5"]}


def refused(arguments, status, *words, cwd=None):
    """One message, the status, every word in the message."""
    result = p.run(arguments, cwd=cwd, timeout=60)
    shown = " ".join(map(str, arguments))
    check(result.returncode == status, f"'{shown}': status {result.returncode}, want {status}: {result.stderr}")
    lines = result.stderr.splitlines()
    check(len(lines) == 1 and lines[0].startswith("singdef: "), f"'{shown}': one message: {lines}")
    for word in words:
        check(str(word) in result.stderr, f"'{shown}': says '{word}': {result.stderr}")
    return result


def says(arguments, *words):
    """Status 0, the words on stdout, nothing on stderr."""
    result = p.run(arguments, timeout=60)
    check(result.returncode == 0 and result.stderr == "",
          f"{arguments}: {result.returncode} {result.stderr}")
    for word in words:
        check(word in result.stdout, f"{arguments} says '{word}': {result.stdout}")
    return result.stdout


def help_and_versions():
    says(["--help"], *COMMANDS, "Exit status", "--version", "--manual", "75")
    check(says(["--help"]) == says(["-h"]), "-h is --help")
    for command, words in COMMANDS.items():
        says([command, "--help"], f"Usage: singdef {command}", "--help", *words)
        says([command, "ignored", "--help"], f"Usage: singdef {command}")
    says(["--version"], "singdef 0.", "MPI", "PETSc", "SLEPc", "OpenBLAS", "HDF5", "BLAS kernels")
    manual = says(["--manual"], ".TH SINGDEF 1", ".SH EXIT STATUS", *COMMANDS)
    for option in ("output", "progress", "families", "tensors", "sha256", "formats"):
        check(f"\\-\\-{option}" in manual, f"the manual has --{option}")
    says(["inspect", "--families"], "llama", "LlamaForCausalLM")


def wrong_usage():
    refused([], 2, "no command", "--help")
    refused(["rum"], 2, "'rum'", "did you mean 'run'?")
    refused(["xyzzy"], 2, "'xyzzy'", *COMMANDS)
    for later in ("compare", "report", "export", "plan", "watch"):
        refused([later, "x"], 2, f"'{later}' is not supported by this version")
    refused(["--halp"], 2, "no option '--halp'", "did you mean '--help'?")
    for command in COMMANDS:
        refused([command], 2, f"'{command}' wants a", f"singdef {command} --help")
        refused([command, "a", "b"], 2, f"'{command}' takes one", "'b' is a second one")
        refused([command, ""], 2, f"'{command}' got an empty")
        refused([command, "--hepl", "x"], 2, "no option '--hepl'", "did you mean '--help'?")
    refused(["run", "--outptu", "x"], 2, "'--outptu'", "did you mean '--output'?")
    refused(["run", "x", "-o"], 2, "--output wants DIR")
    refused(["run", "x", "--output="], 2, "--output wants DIR")
    refused(["run", "x", "--progress", "fast"], 2, "--progress is 'fast'", "auto bar plain none")
    refused(["run", "x", "--progress=plian"], 2, "did you mean 'plain'?")
    refused(["figures", "x", "--formats", "pdf,gif"], 2, "'gif'", "pdf, svg, png")
    refused(["inspect", "--families=all"], 2, "--families takes no value")
    refused(["inspect", "--families", "x"], 2, "--families takes no MODEL", "'x'")
    refused(["run", "--", "--help"], 2, "--help: No such file")  # behind -- it is a file


# ---- the study file ----

TEXT = f"text: '{p.DEMO}/heldout.txt'"
TOKENIZER = f"tokenizer: '{p.DEMO}/tokenizer.json'"
RUNS = f"runs: [{{name: a, checkpoints: '{p.DEMO}/base/step_000000'}}]"
LITTLE = "measure: {sequences: 2, length: 16}\nfigures: none"


def wrong_studies(folder):
    def study(line, *words, text=(TEXT, RUNS)):
        """A study of these lines is refused at a line of it, before anything is made."""
        (folder / "study.yaml").write_text("\n".join(text) + "\n")
        where = f"study.yaml:{line}: " if line else "study.yaml: "
        refused(["run", "study.yaml", "-o", "out"], 2, where, *words, cwd=folder)
        check(not (folder / "out").exists(), f"nothing is made: {text}")

    def key(text, *words):
        study(3, *words, text=(TEXT, RUNS, text))

    def run(text, *words):
        study(2, *words, text=(TEXT, f"runs: [{text}]"))

    key("texxt: x", "'texxt' is no key of a study", "did you mean 'text'?")
    key("measure: {sequnces: 1}", "'sequnces' is no key of 'measure'", "did you mean 'sequences'?")
    study(4, "'estimatr' is no key of 'linear'", "did you mean 'estimator'?",
          text=(TEXT, RUNS, "linear:", "  estimatr: stein"))
    for section, wrong in (("linear", "inputs"), ("spectrum", "counts"), ("teams", "sizes"),
                           ("tokens", "initials")):
        key(f"{section}: {{{wrong}: 1}}", f"'{wrong}' is no key of '{section}'", f"did you mean '{wrong[:-1]}'?")
        key(f"{section}: 3", f"{section} is 3, want a map")
    for value in ("many", "0", "-1", "1.5", "16777217", "99999999999999999999", "'3'", "[1]"):
        key(f"measure: {{sequences: {value}}}", "'sequences' is", "want a whole number in [1, 16777216]")
    key("measure: {bos: yes}", "'bos' is 'yes', want true or false")
    study(1, "'measure.length' is 1, all of it the BOS token",
          text=(TEXT, RUNS, "measure: {bos: true, length: 1}"))
    key("linear: {estimator: stien}", "did you mean 'stein'?")
    key("linear: {input: other}", "'input' is 'other'", "paper scaled")
    key("spectrum: {solver: lapak}", "did you mean 'lapack'?")
    key("spectrum: {matrices: layer}", "want a list")
    key("spectrum: {matrices: [layers]}", "did you mean 'layer'?")
    key("figures: [pdf, gif]", "'gif'", "pdf svg png")
    key("teams: {size: some}", "'size' is 'some'")
    # what a later version will do is named, never ignored
    for text, words in (("linear: {estimator: tokens}", "'estimator: tokens'"),
                        ("linear: {centring: true}", "'centring: true'"),
                        ("tokens: {initial: all}", "'initial: all'"),
                        ("tokens: {noninitial: all}", "'noninitial: all'"),
                        ("quantization: {methods: [rtn]}", "'quantization'")):
        key(text, words, "is not supported by this version")

    study(1, "the study has no 'text'", text=(RUNS,))
    study(1, "the study has no 'runs'", text=(TEXT,))
    study(2, "'runs' is empty", text=(TEXT, "runs: []"))
    study(2, "'runs' is a map, want a list", text=(TEXT, "runs: {name: a}"))
    run("{checkpoints: x}", "a run has no 'name'")
    run("{name: a}", "run 'a' has no 'checkpoints'")
    run("{name: a, checkpoints: []}", "'checkpoints' is an empty list")
    run("{name: a, checkpoints: [{step: 1}]}", "a checkpoint has no 'path'")
    run("{name: a, checkpoint: x}", "did you mean 'checkpoints'?")
    run("{name: a, checkpoints: x}, {name: a, checkpoints: y}", "there are two runs 'a'")
    run("{name: a, checkpoints: x, parent: b}", "parent 'b' of run 'a' is no other run")
    run("{name: a, checkpoints: x, parent: a}", "parent 'a' of run 'a' is no other run")
    run("{name: a, checkpoints: x, parent_step: 1}", "'parent_step'", "no 'parent'")
    run("{name: a, checkpoints: s_step1}, {name: b, checkpoints: x, parent: a, parent_step: 7}",
        "'parent_step' 7 is no step of run 'a'")
    run("{name: a, checkpoints: 'nothing_*'}", "no file or folder matches 'nothing_*' of run 'a'")
    run("{name: a, checkpoints: [x, y]}", "the name of 'x' holds no step", "{step: N, path: x}")
    run("{name: a, checkpoints: [step_1, x-step1]}", "run 'a' has step 1 twice", "'step_1'", "'x-step1'")
    run("{name: a/b, checkpoints: x}", "the name 'a/b'")
    run("{name: .a, checkpoints: x}", "the name '.a'")

    study(3, "the key 'text' is there twice; see line 1", text=(TEXT, RUNS, TEXT))
    study(2, "did not find expected ',' or ']'", text=("text: [a", "runs: b"))
    study(1, "anchors", text=("text: &a b",))
    study(None, "is empty", text=("",))
    refused(["run", "nowhere.yaml"], 2, "nowhere.yaml: No such file or directory", cwd=folder)
    refused(["run", "."], 2, ".: is a folder, want a file", cwd=folder)


# ---- inputs and resources ----

def wrong_inputs(folder):
    def study(*text):
        (folder / "study.yaml").write_text("\n".join(text) + f"\n{LITTLE}\n")
        return ["run", "study.yaml", "-o", "out", "--progress", "none"]

    def text(name, *words, tokenizer=TOKENIZER):
        refused(study(f"text: {name}", tokenizer, RUNS), 3, *words, cwd=folder)

    (folder / "latin.txt").write_bytes("caf".encode() + b"\xe9 au lait\n")
    (folder / "short.txt").write_text("hello\n")
    (folder / "words.ids").write_text("1 2\n3 four\n")
    (folder / "far.ids").write_text("1 99999\n")
    (folder / "broken.json").write_text("{\n")
    (folder / "unigram.json").write_text('{"model": {"type": "Unigram"}}\n')
    text("nowhere.txt", "study.yaml: 'text': nowhere.txt: No such file")
    text("latin.txt", "latin.txt: byte 3 (0xE9, line 1) is not UTF-8")
    text(".", "is a folder, want a file")
    text("short.txt", "the text is too short", "0 sequences of 16, want 2")
    text("{ids: words.ids}", "words.ids:2:3: not an id")
    text("{ids: far.ids}", "token id 99999 is outside of the vocabulary of 1024")
    for name, words in (("nowhere.json", "No such file"), ("broken.json", "broken.json:2: not JSON"),
                        ("unigram.json", "model type 'Unigram' is not supported, want BPE")):
        text(f"'{p.DEMO}/heldout.txt'", "study.yaml: 'tokenizer': ", words, tokenizer=f"tokenizer: {name}")
    p.copy_step(folder, "lonely", 0)
    refused(study(TEXT, "runs: [{name: a, checkpoints: lonely}]"), 3, "singdef: lonely: no tokenizer.json",
            "'tokenizer' in the study", cwd=folder)
    # Without one complete checkpoint there is nothing to draw; the status stays that of the inputs.
    (folder / "study.yaml").write_text(f"{TEXT}\n{TOKENIZER}\nruns: [{{name: a, checkpoints: nowhere}}]\n")
    refused(["run", "study.yaml", "-o", "out", "--progress", "none"], 3, "singdef: nowhere: no such file or folder",
            cwd=folder)


def wrong_places(folder):
    (folder / "study.yaml").write_text(f"{TEXT}\n{TOKENIZER}\n{RUNS}\n{LITTLE}\n")
    (folder / "file").write_text("")
    study = ["run", "study.yaml", "--progress", "none", "-o"]
    refused([*study, "file/below"], 4, "'file/below'", "Not a directory", cwd=folder)
    refused([*study, "file"], 4, "'file'", "Not a directory", cwd=folder)
    if os.getuid() != 0:  # root may write anywhere
        (folder / "closed").mkdir(mode=0o555)
        refused([*study, "closed"], 4, "closed", "Permission denied", cwd=folder)
        refused([*study, "closed/below"], 4, "closed/below", "Permission denied", cwd=folder)
    for arguments in (["--help"], ["--version"], ["inspect", "--families"], ["run", "--help"]):
        with open("/dev/full", "w") as full:
            result = subprocess.run(p.command(arguments), stdout=full, stderr=subprocess.PIPE, text=True)
        check(result.returncode == 4 and result.stderr == "singdef: standard output cannot be written\n",
              f"{arguments} onto a full disk: {result.returncode} {result.stderr}")


# ---- the other commands ----

def inspects(folder):
    model = p.DEMO / "base/step_013000"
    says(["inspect", model], "family       llama", "layers       6", "hidden size  64", "vocabulary   1024",
         "BF16", "342848 numbers", "fingerprint  xxh3-128:")
    says(["inspect", model / "model.safetensors"], "family       llama")
    broken = p.copy_step(folder, "broken", 0)
    os.truncate(broken / "model.safetensors", 100000)
    refused(["inspect", "broken"], 3, "singdef: broken: model.safetensors: is truncated", cwd=folder)
    refused(["inspect", "nowhere"], 3, "singdef: nowhere: no such file or folder", cwd=folder)
    (folder / "hollow").mkdir()
    refused(["inspect", "hollow"], 3, "singdef: hollow: the folder has neither model.safetensors", cwd=folder)
    refused(["inspect", p.DEMO / "heldout.txt"], 3, "heldout.txt", "is no file of weights")


def damage(whole, copy, dataset):
    """A copy with one bit of one dataset flipped, where the dataset's bytes lie."""
    with h5py.File(whole) as file:
        place = file[dataset].id.get_offset()
        if place is None:  # chunked
            place = file[dataset].id.get_chunk_info(0).byte_offset
    data = bytearray(whole.read_bytes())
    data[place] ^= 1
    copy.write_bytes(data)


def results(folder):
    study = p.small_study(folder, steps=(13000,))
    made = p.run(["run", study, "-o", folder / "out", "--progress", "none"])
    check(made.returncode == 0 and made.stderr == "" and made.stdout == "", f"a small study: {made}")
    whole = folder / "out/study.h5"
    says(["check", whole], "every object and checksum is as it should be")

    damage(whole, folder / "damaged.h5", "runs/base/linear/sigma")
    result = refused(["check", "damaged.h5"], 1, "'damaged.h5': 1 finding", cwd=folder)
    check(len(result.stdout.splitlines()) == 1 and "linear/sigma" in result.stdout and "sha256" in result.stdout,
          f"one line names the dataset: {result.stdout}")
    (folder / "text.h5").write_text("no HDF5\n")
    (folder / "half.h5").write_bytes(whole.read_bytes()[:50000])
    for command in ("check", "figures"):
        refused([command, "text.h5"], 1, "'text.h5'", "it is no HDF5 file", cwd=folder)
        refused([command, "half.h5"], 1, "'half.h5'", "truncated", cwd=folder)
        refused([command, "nowhere.h5"], 3, "'nowhere.h5'", "No such file", cwd=folder)
        refused([command, "out"], 3, "'out'", "it is no file", cwd=folder)

    if shutil.which("gnuplot") is None:
        return
    says(["figures", whole, "-o", folder / "drawn", "--formats", "png"], "figures are in")
    made = sorted(f.suffix for f in (folder / "drawn").iterdir())
    check(".png" in made and ".svg" not in made and ".pdf" not in made, f"only PNG was asked for: {made}")
    check((folder / "drawn/norms.png").read_bytes()[:4] == b"\x89PNG", "a PNG is one")
    says(["figures", whole, "--formats=svg,png"])
    check((folder / "out/figures/norms.svg").exists(), "figures lie beside the file by default")
    (folder / "file2").write_text("")
    refused(["figures", whole, "-o", "file2/below"], 4, "file2/below", "Not a directory", cwd=folder)


help_and_versions()
wrong_usage()
for part in (wrong_studies, wrong_inputs, wrong_places, inspects, results):
    with p.Scratch() as scratch:
        part(scratch)
check.done()
