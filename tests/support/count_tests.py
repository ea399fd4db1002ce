"""Sums what ctest counted: python count_tests.py SUMMARY.xml...

Prints each test that failed or was skipped, the latter with its own reason, and at the end one line
`N passed, N failed, N skipped`.

A test that asked to be skipped (exit status 77) or that was disabled is skipped; one that did not
run for any other reason, such as a program that was not built, failed. A summary that is missing or
not complete counts as one failure. Exit status: 0, or 1 when something failed or nothing ran.
"""
import sys
import xml.etree.ElementTree as ET


def kind(case):
    status = case.get("status")
    if status == "run":
        return "passed"
    if status == "disabled":
        return "skipped"
    reason = case.find("skipped")
    if reason is not None and "SKIP_RETURN_CODE" in reason.get("message", ""):
        return "skipped"
    return "failed"


def reason(case):
    """The last line that a test printed."""
    lines = (case.findtext("system-out") or "").strip().splitlines()
    return lines[-1] if lines else "no reason given"


def main():
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sys.argv[1:]:
        try:
            for case in ET.parse(path).getroot().iter("testcase"):
                count[kind(case)] += 1
                if kind(case) != "passed":
                    print(f"{kind(case)}: {case.get('name')}: {reason(case)}")
        except (OSError, ET.ParseError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            count["failed"] += 1
    print(", ".join(f"{n} {name}" for name, n in count.items()))
    return 1 if count["failed"] or not sum(count.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
