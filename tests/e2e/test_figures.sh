#!/usr/bin/env bash
# The figures of a small study of the demo's training run: made by the run, made again by
# `singdef figures` with the same bytes, redrawn by hand, equal to the study's numbers, and whole
# again after a kill. In a folder with a space and an é in its name.
set -u
: "${SINGDEF:?}" "${SD_SOURCE:?}" "${PYTHON:=python3}"
fail() { printf 'test_figures: %s\n' "$*" >&2; exit 1; }
command -v gnuplot >/dev/null || { echo 'skipped: gnuplot is not installed' >&2; exit 77; }

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
mkdir "$work/a séjour" && cd "$work/a séjour" || exit 1
ln -s "$SD_SOURCE/configs/demo/tinyrun" tinyrun
cat > small.yaml <<'Y'
text: tinyrun/heldout.txt
tokenizer: tinyrun/tokenizer.json
runs:
  - name: from_the start
    checkpoints: [tinyrun/base/step_000000, tinyrun/base/step_004000, tinyrun/base/step_013000]
  - name: ft_qa
    checkpoints: tinyrun/ft_qa/step_*
    parent: from_the start
subspace: true
measure: {sequences: 32, length: 64}
figures: [svg, png]
Y
names='norms emergence stabilisation prediction decay gap explosion'

timeout 300 "$SINGDEF" run small.yaml -o out --progress none || fail "the run ended with $?"
for name in $names; do
    grep -q 'Not drawn' "out/figures/$name.txt" && fail "$name: $(cat "out/figures/$name.txt")"
    for ext in svg png gp tsv txt; do
        [ -s "out/figures/$name.$ext" ] || fail "$name.$ext is missing"
    done
    [ -e "out/figures/$name.pdf" ] && fail "$name.pdf was not asked for"
done

# The command makes the same files, and by default all three formats.
"$SINGDEF" figures out/study.h5 -o again >/dev/null || fail "figures ended with $?"
for name in $names; do
    for ext in svg png gp tsv txt; do
        cmp "out/figures/$name.$ext" "again/$name.$ext" || fail "$name.$ext differs"
    done
    [ "$(head -c 5 "again/$name.pdf")" = '%PDF-' ] || fail "$name.pdf is no PDF"
done

# A redraw by hand: the same picture, and not a word.
for name in $names; do
    (cd again && mv "$name.png" old.png && LC_ALL=C.UTF-8 gnuplot -d "$name.gp" >said 2>&1 && cmp "$name.png" old.png) ||
        fail "$name.gp does not draw $name.png again: $(cat again/said)"
    [ -s again/said ] && fail "$name.gp says: $(cat again/said)"
done

# Names are text, whatever is in them.
grep -q 'from_the start' again/emergence.svg || fail 'the name of the first run is not in the figure'

# The data are the study's numbers, read another way.
"$PYTHON" - <<'P' || fail 'the data are not the numbers of the study'
import sys
try:
    import h5py
except ImportError:
    sys.exit(0)  # the tests' own environment has it
run = h5py.File("out/study.h5")["runs/from_the start"]
rows = [line.split("\t") for line in open("again/gap.tsv") if line[0].isdigit()]
gap = run["layer_role/weight_gap"][...]
assert len(rows) == gap.size
for column, layer, value, *_ in rows:
    want = gap[int(column), int(layer) - 1]
    assert abs(float(value) - want) <= 1e-8 * want, (column, layer, value, want)
blocks = open("again/norms.tsv").read().split("\n\n\n")
norm = run["norm/initial_mean"][-1]
last = [line.split("\t") for line in blocks[-1].splitlines() if line[:1].isdigit()]
assert [abs(float(r[2]) - norm[int(r[0])]) <= 1e-8 * norm[int(r[0])] for r in last] == [True] * len(norm)
P

# Without gnuplot: one line that says what to do, and exit status 4.
mkdir empty
said=$(PATH=$PWD/empty "$SINGDEF" figures out/study.h5 -o nothing 2>&1 >/dev/null)
status=$?
[ "$status" = 4 ] || fail "without gnuplot the exit status is $status, want 4"
# shellcheck disable=SC2016  # the backquotes are the message's
[ "$said" = 'singdef: gnuplot was not found: install it or set `figures: none`' ] ||
    fail "without gnuplot it says: $said"

# Killed while gnuplot draws, then the same command again: nothing half, nothing stale.
mkdir slow
printf '#!/bin/sh\n: > started\nexec sleep 30\n' > slow/gnuplot && chmod +x slow/gnuplot
PATH=$PWD/slow:$PATH "$SINGDEF" figures out/study.h5 -o killed >/dev/null 2>&1 &
child=$!
for _ in $(seq 100); do [ -e started ] && break; sleep 0.1; done
[ -e started ] || fail 'gnuplot was not started'
kill -9 "$child"
wait "$child" 2>/dev/null
"$SINGDEF" figures out/study.h5 -o killed >/dev/null || fail "after a kill figures ended with $?"
diff -r -x said -x old.png again killed || fail 'after a kill the figures differ'
find killed -name '.*.tmp' | grep . && fail 'a temporary file is left'
exit 0
