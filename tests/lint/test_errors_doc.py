"""docs/errors.md quotes messages that the program has: each longer piece of a quoted message, between
what it fills in, stands in a string of the sources.

ELSEWHERE lists what other libraries and the system say in their own words, and what is put together.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ.get("SD_SOURCE") or Path(__file__).parents[2])
ELSEWHERE = ["No such file or directory", "Permission denied", "Too many open files", "truncated file",
             "found a tab character", "found character that cannot start", "in other words"]
# Quoted names, numbers, file names, capitals that stand for something, words of a choice.
FILLED_IN = (r"'[^']*'|\"[^\"]+\"|\b[A-Z]\b|\bI8\b|\[\d+, \d+\]|\d+|…|/|\.\.\.|--\w+|\b(?:DIR|MODEL|NaN|STUDY\.yaml)\b"
             r"|\b[\w.]+\.(?:yaml|json|safetensors)\b(?=:)|\ba folder(?=,)|\(process|tensors overlap")
SHORTEST = 8  # characters of a piece that is worth looking for


def strings():
    """All string literals of the program, neighbours joined, conversions as one sign."""
    listed = subprocess.run(["bash", "-c", ". tests/lint/tracked.sh; tracked 'io/*.[ch]' 'pipeline/*.[ch]' 'solvers/*.[ch]'"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in listed)
    text = re.sub(r'"\s*(?:PRI\w+|JSON_INTEGER_FORMAT)\s*"?', "\x00", text)  # an inserted number
    text = re.sub(r'"\s*"', "", text)
    text = text.replace('\\"', '"').replace("\\\\", "\\")
    return re.sub(r"%[-+.*0-9]*(?:[lzjt]*[a-z])?", "\x00", text)


def quotes(page):
    """Every quoted message: the code spans of the first cells of its tables."""
    inside = False
    for line in page.splitlines():
        if line.startswith("| message |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("| ---"):
            cell = line.split(" | ")[0]
            for double, single in re.findall(r"``(.+?)`` ?|`([^`]+)`", cell):
                yield (double or single).strip()


def pieces(quote):
    """The words between what the program fills in: capitals, numbers, names, three dots."""
    quote = re.sub(FILLED_IN, "\x00", quote)
    return [piece.strip(" :;,()\n") for piece in quote.split("\x00")
            if len(piece.strip(" :;,()")) >= SHORTEST]


def findings(page, source):
    for quote in quotes(page):
        if any(word in quote for word in ELSEWHERE):
            continue
        for piece in pieces(quote):
            if piece not in source:
                yield f"docs/errors.md: `{quote}`: no message has '{piece}'"


def main():
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    source = strings()
    assert len(list(quotes(page))) > 80, "the tables of the page are not read any more"
    old = "the text is too short"
    assert old in page and list(findings(page.replace(old, "the text is too brief"), source))
    bad = list(findings(page, source))
    print("\n".join(bad), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
