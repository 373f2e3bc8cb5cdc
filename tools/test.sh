#!/usr/bin/env bash
# Runs every test that this machine can run, and says at the end what it left
# out and why. With SEEOTHER_TEST_ALL=1, as in CI, nothing may be left out: the
# tests fail where they would skip, and one that skips all the same is named
# here and fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
all=${SEEOTHER_TEST_ALL:-}
mkdir -p bin
rm -f bin/test*.jsonl

race=(-race)
if [ "$("$go" env CGO_ENABLED)" != 1 ]; then
  if [ -n "$all" ]; then
    echo "test: the race detector needs cgo and a C compiler" >&2
    exit 1
  fi
  race=()
fi

# run NAME ARG... tests packages. -count=1: what a machine has is not among the
# things by which Go caches results.
status=0
run() {
  "$go" tool -modfile=tools/go.mod gotestsum --format pkgname --format-hide-empty-pkg --jsonfile "bin/$1.jsonl" -- \
    ${race[@]+"${race[@]}"} -count=1 -timeout 30m "${@:2}" || status=$?
}

# The packages with many browsers come by themselves, one after the other: together
# they starve each other on a small machine.
browsers=(./test/e2e ./test/forms)
mapfile -t others < <("$go" list ./... | grep -v -F -x -f <("$go" list "${browsers[@]}"))
run test "${others[@]}"
run test-browsers -p 1 "${browsers[@]}"
if [ ${#race[@]} -gt 0 ]; then
  # What the race detector cannot watch, since it ends a process that reads a
  # damaged page instead of letting the read fault: files with "!race".
  "$go" test -count=1 -timeout 5m -run 'NeverEndsTheProcess$' ./store/boltstore || status=$?
fi

if [ ${#race[@]} -eq 0 ]; then
  echo "left out: the race detector (it needs cgo and a C compiler)"
fi
skipped=$(sed -n '/"Action":"skip"/s/.*"Package":"\([^"]*\)","Test":"\([^"]*\)".*/  \1 \2/p' bin/test*.jsonl)
if [ -n "$skipped" ]; then
  printf 'left out (the reasons stand above, under "Skipped"):\n%s\n' "$skipped"
  if [ -n "$all" ] && [ "$status" -eq 0 ]; then
    echo "test: SEEOTHER_TEST_ALL is set, and these tests were skipped" >&2
    status=1
  fi
elif [ ${#race[@]} -gt 0 ]; then
  echo "nothing was left out"
fi
exit "$status"
