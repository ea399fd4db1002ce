#!/usr/bin/env python3
"""Runs a Python program of the tests, or exits 77 with the reason when it imports what is not here.

Stands in for the tests' virtual environment when that could not be made (no network): programs that
need only the standard library still run.
"""
import ast
import importlib.util
import os
import sys


def imports(path):
    """Names of the packages that a program imports at its top level."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), path)
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def missing(path):
    beside = os.path.dirname(os.path.abspath(path))
    for name in imports(path):
        if importlib.util.find_spec(name) is None \
                and not os.path.exists(os.path.join(beside, name + ".py")):
            yield name


def main():
    arguments = sys.argv[1:]
    if arguments and arguments[0].endswith(".py"):
        names = sorted(set(missing(arguments[0])))
        if names:
            print(f"skipped: needs the Python packages {', '.join(names)} of tests/requirements.txt, "
                  "which could not be installed", file=sys.stderr)
            return 77
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    sys.exit(main())
