"""Holds the READMEs: a folder of more than five files has one with a line per file, and no more.

In a folder's README each file is named in backticks at the start of a list item or table row; a name may be a
pattern (`step_*.h5`) or several (`yaml.{h,c}`). What it names must exist. The root's README is not
such a list: it is held to fewer than 120 lines.
"""
import collections
import fnmatch
import os
import re
import subprocess
import sys

FILES, README_LINES = 5, 120


def tracked(root):
    command = ["bash", "-c", ". tests/lint/tracked.sh; tracked '*'"]
    out = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return out.splitlines()


def spread(pattern):
    """`a.{h,c}` as a.h and a.c."""
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if not braces:
        return [pattern]
    return [one for word in braces.group(1).split(",")
            for one in spread(pattern[:braces.start()] + word + pattern[braces.end():])]


def named(text):
    """The patterns that a README's lines begin with: `- `a`, `b`: what` or `| `a` | what |`."""
    for line in text.splitlines():
        head = re.match(r"\s*(?:[-*]|\|)\s*((?:`[^`]+`[,… ]*)+)", line)
        if head:
            for pattern in re.findall(r"`([^`]+)`", head.group(1)):
                yield from spread(pattern)


def findings(folder, files, folders, text):
    """What is wrong with the README `text` of a folder."""
    patterns = list(named(text))
    for name in files:
        if name != "README.md" and not any(fnmatch.fnmatchcase(name, p) for p in patterns):
            yield f"{folder}/README.md: no line for {name}"
    for pattern in patterns:
        first = pattern.split("/")[0]
        if not any(fnmatch.fnmatchcase(name, first) for name in [*files, *folders]):
            yield f"{folder}/README.md: names `{pattern}`, which is not there"


def the_finder_finds():
    text = "- `a.{h,c}`: x\n| `b_*.c` | y |\n- `gone.c`: z\n"
    found = list(findings("f", ["a.h", "a.c", "b_1.c", "new.c"], [], text))
    assert found == ["f/README.md: no line for new.c",
                     "f/README.md: names `gone.c`, which is not there"], found


def main():
    the_finder_finds()
    root = os.environ.get("SD_SOURCE") or os.path.join(os.path.dirname(__file__), "..", "..")
    files, folders = collections.defaultdict(list), collections.defaultdict(set)
    for path in tracked(root):
        folder, name = os.path.split(path)
        files[folder].append(name)
        while folder:
            folder, child = os.path.split(folder)
            folders[folder].add(child)
    bad = []
    for folder in sorted(files):
        readme = os.path.join(root, folder, "README.md")
        if not os.path.exists(readme):
            if len(files[folder]) > FILES or not folder:
                bad.append(f"{folder or 'the root'}: {len(files[folder])} files and no README.md")
            continue
        with open(readme, encoding="utf-8") as file:
            text = file.read()
        if not folder:
            if len(text.splitlines()) >= README_LINES:
                bad.append(f"README.md: {len(text.splitlines())} lines, fewer than {README_LINES} wanted")
        elif len(files[folder]) > FILES:
            bad += findings(folder, files[folder], folders[folder], text)
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
