#!/usr/bin/env bash
# The installation: the program runs from its prefix, from anywhere, with its manual page, studies
# and pages beside it; DESTDIR is respected. In a folder with a space and an é in its name.
set -u
: "${SINGDEF:?}" "${SD_BUILD:?}" "${SD_SOURCE:?}"
fail() { printf 'test_install: %s\n' "$*" >&2; exit 1; }

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
prefix="$work/a séjour" && cd "$work" || exit 1

cmake --install "$SD_BUILD" --prefix "$prefix" >log 2>&1 || fail "cmake --install: $(cat log)"
program=$prefix/bin/singdef
[ "$("$program" --version)" = "$("$SINGDEF" --version)" ] || fail "the installed program is another one"

manual=$prefix/share/man/man1/singdef.1
[ -s "$manual" ] || fail "there is no manual page"
[ "$(cat "$manual")" = "$("$program" --manual)" ] || fail "the manual page is not the program's own"
if command -v groff >/dev/null; then
    said=$(groff -man -Tascii -ww -z "$manual" 2>&1) || fail "groff cannot set the manual page"
    [ -z "$said" ] || fail "groff says: $said"
fi
for command in run inspect figures check; do
    grep -q "^\.SS singdef $command " "$manual" || fail "the manual page has no $command"
done

doc=$prefix/share/doc/singdef
for page in README.md LICENSE CITATION.cff CHANGELOG.md docs/config.md docs/images/stabilisation.png; do
    cmp "$SD_SOURCE/$page" "$doc/$page" || fail "$page is not installed"
done
[ -f "$prefix/share/singdef/slurm/study.sbatch" ] || fail "the Slurm script is not installed"

# The installed demo is whole: its last checkpoint can be measured in place.
demo=$prefix/share/singdef/configs/demo
[ -f "$demo/demo.yaml" ] || fail "the demo is not installed"
printf 'text: %s/tinyrun/heldout.txt\nmeasure: {sequences: 4, length: 32}\nfigures: none\nruns: [{name: a, checkpoints: "%s"}]\ntokenizer: "%s"\n' \
    "$demo" "$demo/tinyrun/base/step_013000" "$demo/tinyrun" >study.yaml
timeout 120 "$program" run study.yaml -o out --progress none || fail "the installed program ended with $?"
"$program" check out/study.h5 >/dev/null || fail "its result is not sound"

DESTDIR=$work/image cmake --install "$SD_BUILD" --prefix /usr >log 2>&1 || fail "with DESTDIR: $(cat log)"
[ -x "$work/image/usr/bin/singdef" ] && [ -s "$work/image/usr/share/man/man1/singdef.1" ] ||
    fail "DESTDIR is not respected"
exit 0
