"""docs/config.md has every key of the study file and every option of the program, and none besides.

The keys are those of the tables in pipeline/study.c, the options those of the table in
pipeline/command.c; the defaults that the page quotes are held to the code too.
"""
import os
import re
import sys
from pathlib import Path

ROOT = Path(os.environ.get("SD_SOURCE") or Path(__file__).parents[2])

# Which map of the study file a reader of study.c reads.
MAPS = {"read_study": "", "read_text": "text", "read_run": "runs",
        "read_stepped_path": "runs.checkpoints", "read_measure": "measure",
        "read_linear": "linear", "read_spectrum": "spectrum", "read_teams": "teams",
        "read_sweeps": "tokens"}
# Rows of the page that say "a map": their keys have rows of their own.
SECTIONS = {"measure", "linear", "spectrum", "teams", "tokens"}


def functions(text):
    """Name and body of every function that begins at the start of a line."""
    for match in re.finditer(r"^(?:static )?sd_status (\w+)\([^;]*?\)\n\{\n(.*?)^\}", text,
                             re.MULTILINE | re.DOTALL):
        yield match.group(1), match.group(2)


def keys_of_program(text):
    """`section.key` of every row of the tables of keys."""
    found = set()
    for name, body in functions(text):
        table = re.search(r"static const row\s+rows\[\] =(.*?)\{0\}\}", body, re.DOTALL)
        if not table:
            continue
        assert name in MAPS, f"{name} reads a map that this test does not know: add it to MAPS"
        section = MAPS[name] + "." if MAPS[name] else ""
        found |= {section + key for key in re.findall(r'\{\s*"(\w+)",\s*KIND_', table.group(1))}
    assert len(found) > 25, f"the tables of study.c are not read any more: {sorted(found)}"
    return found - SECTIONS


def choices_of_program(text):
    """The words of each list of choices; those that cannot be done yet without their '!'."""
    return {name: re.findall(r'"(!?\w+)"', words) for name, words in
            re.findall(r"static const char \*const (\w+)\[\]\s*= \{(.*?)\};", text, re.DOTALL)}


def options_of_program(text):
    table = text[text.index("static const command_row commands[]"):text.index("enum { N_COMMANDS")]
    options = set(re.findall(r'\{"(--\w+)"', table)) | set(re.findall(r'"(-\w)"', table))
    alone = re.search(r"alone\[\] = \{(.*?)NULL", text).group(1)
    commands = set(re.findall(r'^\s*\{"(\w+)",$', table, re.MULTILINE))
    later = re.findall(r'"(\w+)"', re.search(r"later\[\] = \{(.*?)NULL", text).group(1))
    return options | set(re.findall(r'"(--\w+)"', alone)), commands, later


def rows(page, head):
    """First cells, and whole lines, of the tables whose head begins with a word."""
    inside = False
    for line in page.splitlines():
        if line.startswith(f"| {head} |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("| ---"):
            yield line.split("|")[1].strip(), line


def compare(what, program, page):
    for name in sorted(program - page):
        yield f"docs/config.md: {what} `{name}` of the program is missing"
    for name in sorted(page - program):
        yield f"docs/config.md: {what} `{name}` is unknown to the program"


def findings(study, command, page):
    keys = dict((re.fullmatch(r"`([\w.]+)`", cell).group(1), line) for cell, line in rows(page, "key"))
    yield from compare("key", keys_of_program(study), set(keys))
    options, commands, later = options_of_program(command)
    named = {word for cell, _ in rows(page, "option") for word in re.findall(r"`(--?\w+)", cell)}
    yield from compare("option", options, named)
    yield from compare("command", commands,
                       {re.match(r"`singdef (\w+)", cell).group(1) for cell, _ in rows(page, "command")})
    for word in later:
        if f"`{word}`" not in page:
            yield f"docs/config.md: the later command `{word}` is not named"
    # Every word that a key takes, and whether it can be done.
    choices = choices_of_program(study)
    for key, table in {"linear.estimator": "ESTIMATORS", "linear.input": "INPUTS",
                       "spectrum.values": "VALUES", "spectrum.solver": "SOLVERS",
                       "spectrum.matrices": "MATRICES", "eigenpairs": "EIGENPAIRS",
                       "tokens.initial": "NONE_ONLY", "tokens.noninitial": "NONE_ONLY",
                       "figures": "FORMATS"}.items():
        line = keys.get(key, "")
        type_cell = line.split("|")[2] if line else ""
        for word in choices[table]:
            bare = word.lstrip("!")
            if word.startswith("!"):
                if f"`{bare}` is not supported by this version" not in line:
                    yield f"docs/config.md: `{key}`: does not say that `{bare}` is not supported"
            elif f"`{bare}`" not in type_cell:
                yield f"docs/config.md: `{key}`: does not name `{bare}`"
    # Defaults that set_defaults() writes out.
    body = dict(functions(study))["set_defaults"]
    defaults = {f"{a}.{b}": value for a, b, value in
                re.findall(r"study->(\w+)\.(\w+)\s*= (\d+);", body)}
    assert len(defaults) == 5, f"set_defaults() is not read any more: {defaults}"
    for key, value in defaults.items():
        if key in keys and keys[key].split("|")[3].strip() != value:
            yield f"docs/config.md: `{key}`: the default is {value}"
    # Ranges of whole numbers.
    for key, least, most in re.findall(
            r'\{"(\w+)", KIND_INT, FIELD\(sd_study, [\w.]+\), (\w+),\s*([^,]+), NULL', study):
        line = next((line for name, line in keys.items() if name.endswith("." + key)), "|||")
        shift = re.fullmatch(r"1 << (\d+)", most.strip())
        want = f"{least} to {1 << int(shift.group(1))}" if shift else f"{least} or more"
        if line.split("|")[2].strip() != want:
            yield f"docs/config.md: `{key}`: its range is {want}"


def main():
    study = (ROOT / "pipeline/study.c").read_text(encoding="utf-8")
    command = (ROOT / "pipeline/command.c").read_text(encoding="utf-8")
    page = (ROOT / "docs/config.md").read_text(encoding="utf-8")
    # The finder finds: a key less, a key more, a default changed, an option less.
    for old, new in (("| `linear.seed` |", "| `linear.sead` |"), ("| 100000 |", "| 10000 |"),
                     ("`--formats LIST`", "formats"), ("1 to 1073741824", "1 to 10")):
        assert old in page and list(findings(study, command, page.replace(old, new))), old
    bad = list(findings(study, command, page))
    print("\n".join(bad), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
