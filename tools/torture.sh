#!/usr/bin/env bash
# The long run: every fuzz target for FUZZTIME, then the tests that kill the
# gateway, SEEOTHER_KILLS times. It stops at the first failure; what a fuzzer
# found stays in testdata/fuzz of its package, as a test from then on.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
fuzztime=${FUZZTIME:-2m}
export SEEOTHER_KILLS=${SEEOTHER_KILLS:-100}

git ls-files '*_test.go' | xargs grep -H -o '^func Fuzz[A-Za-z0-9_]*' | while IFS=: read -r file func; do
  name=${func#func }
  echo "fuzz $(dirname "$file") $name for $fuzztime"
  "$go" test "./$(dirname "$file")" -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" -fuzzminimizetime 1s </dev/null
done

echo "kill the gateway $SEEOTHER_KILLS times, and check properties with 20 times as many cases"
RAPID_CHECKS=2000 "$go" test -count=1 -timeout 3h ./...
