"""Holds the limits of size: functions of at most 80 lines and 7 parameters, .c files of at most 800 lines.

Relies on the format that test_format.sh holds: a function's braces stand alone in the first column.
Reports, without failing, headers with less than 35 % of comment: they may lack a manual page.
"""
import os
import re
import subprocess
import sys

LINES, PARAMETERS, FILE_LINES, COMMENT_SHARE = 80, 7, 800, 0.35
FOLDERS = ("pipeline", "solvers", "io", "tests", "docs")

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')


def blank(match):
    """A comment or literal with its line breaks kept, so that line numbers stay."""
    return re.sub(r"[^\n]", " ", match.group())


def code_lines(text):
    """The lines of a file without comments, literals and preprocessor lines."""
    either = re.compile(LITERAL.pattern + "|" + COMMENT.pattern, re.DOTALL)
    lines = either.sub(blank, text).split("\n")
    directive = False
    for i, line in enumerate(lines):
        starts = directive or line.lstrip().startswith("#")
        directive = starts and line.rstrip().endswith("\\")
        if starts:
            lines[i] = ""
    return lines


def parameters(signature):
    """Number of parameters in the last parenthesis at the outermost level."""
    depth, start, groups = 0, 0, []
    for i, c in enumerate(signature):
        if c == "(":
            if depth == 0:
                start = i
            depth += 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                groups.append(signature[start + 1:i])
    if not groups or groups[-1].strip() in ("", "void"):
        return 0
    depth, commas = 0, 0
    for c in groups[-1]:
        depth += (c in "([") - (c in ")]")
        commas += c == "," and depth == 0
    return commas + 1


def functions(lines):
    """Yields (first line from 1, number of lines, signature) of each function."""
    end_of_previous, opened = 0, None
    for i, line in enumerate(lines):
        if line.rstrip() == "{" and opened is None:
            opened = i
        elif line.startswith("}"):
            if opened is not None:
                first = opened
                while first > end_of_previous and lines[first - 1].strip():
                    first -= 1
                yield first + 1, i - first + 1, " ".join(lines[first:opened])
            opened, end_of_previous = None, i + 1


def prototypes(lines):
    """Yields (line from 1, text) of declarations that begin in the first column."""
    text = "\n".join(lines)
    for match in re.finditer(r"^[A-Za-z_][\w \t*]*?\b(\w+)\s*\([^;{}]*\)[^;{}]*;", text, re.MULTILINE):
        yield text.count("\n", 0, match.start()) + 1, match.group().rstrip(";")


def comment_share(text):
    lines = [line for line in text.split("\n") if line.strip()]
    kept = [line for line in COMMENT.sub(blank, text).split("\n") if line.strip()]
    return 1 - len(kept) / max(1, len(lines))


def c_files(root):
    command = ["bash", "-c", ". tests/lint/tracked.sh; tracked '*.c' '*.h'"]
    out = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return [path for path in out.splitlines() if path.split("/")[0] in FOLDERS]


def findings(path, text):
    lines = code_lines(text)
    for line, count, signature in functions(lines):
        name = signature.split("(")[0].split()[-1:] or ["?"]
        if count > LINES:
            yield f"{path}:{line}: {name[0]} has {count} lines, at most {LINES}"
        if parameters(signature) > PARAMETERS:
            yield f"{path}:{line}: {name[0]} has {parameters(signature)} parameters, at most {PARAMETERS}"
    if path.endswith(".h"):
        for line, text_of in prototypes(lines):
            foreign = re.search(r"_\s*\(", text_of)  # Fortran's: another library's routine
            if parameters(text_of) > PARAMETERS and not foreign:
                yield f"{path}:{line}: {parameters(text_of)} parameters, at most {PARAMETERS}"
    elif text.count("\n") > FILE_LINES:
        yield f"{path}: {text.count(chr(10))} lines, at most {FILE_LINES}"


def the_finder_finds():
    """The checks themselves, on a text made to break each of them."""
    long = "static int f(int a, int (*g)(int, int),\n             int c)\n{\n" + "    ;\n" * 80 + "}\n"
    wide = "int w(int a, int b, int c, int d, int e, int f, int g, int h)\n{\n    return a;\n}\n"
    kept = 'int k(void)\n{\n    return "{"[0]; /* }\n} */\n}\n\nenum { X };\n'
    found = [line.split(" ", 1)[1] for line in findings("x.c", long + "\n" + wide + "\n" + kept)]
    assert found == ["f has 84 lines, at most 80", "w has 8 parameters, at most 7"], found
    assert list(findings("x.h", wide.split("\n")[0] + ";\n")) == ["x.h:1: 8 parameters, at most 7"]


def main():
    the_finder_finds()
    root = os.environ.get("SD_SOURCE") or os.path.join(os.path.dirname(__file__), "..", "..")
    files = c_files(root)
    bad = [] if files else ["there are no C files"]
    for path in files:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        bad += findings(path, text)
        if path.endswith(".h") and comment_share(text) < COMMENT_SHARE:
            print(f"{path}: {comment_share(text):.0%} of comment; is everything there to call it?")
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
