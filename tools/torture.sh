#!/usr/bin/env bash
# The long run: every fuzz target for FUZZTIME, then all tests at full size, and
# at the end the proofs of docs/proof.md, whose numbers are left in
# bin/proof.txt. It stops at the first failure; what a fuzzer found stays in
# testdata/fuzz of its package, as a test from then on.
#
#   tools/torture.sh [fuzz] [tests] [proof]     only these parts
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
fuzztime=${FUZZTIME:-2m}
parts=${*:-fuzz tests proof}
for part in $parts; do
  case $part in
  fuzz | tests | proof) ;;
  *)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
  esac
done
mkdir -p bin

# How large "full size" is. Each can be set from outside.
export SEEOTHER_KILLS=${SEEOTHER_KILLS:-100}                              # of a store's process, and of the gateway
export SEEOTHER_HISTORIES=${SEEOTHER_HISTORIES:-1000}                     # for each store, of so many
export SEEOTHER_OPERATIONS=${SEEOTHER_OPERATIONS:-5000}                   # operations,
export SEEOTHER_TOGETHER=${SEEOTHER_TOGETHER:-8}                          # so many at one time
export SEEOTHER_SEEDS=${SEEOTHER_SEEDS:-10000}                            # of the simulation
export SEEOTHER_PROOF_KILLS=${SEEOTHER_PROOF_KILLS:-500}                  # of the gateway, while
export SEEOTHER_PROOF_SUBMISSIONS=${SEEOTHER_PROOF_SUBMISSIONS:-1000000}  # are sent 3 to 10 times each
export SEEOTHER_SUBMISSIONS=${SEEOTHER_SUBMISSIONS:-10000}               # of a form, each clicked 2 to 5 times
export SEEOTHER_PAGES=${SEEOTHER_PAGES:-10000000}                         # of random tags, whose forms get a token
export SEEOTHER_FAILOVERS=${SEEOTHER_FAILOVERS:-100}                      # of Redis, whose loss is counted

part_fuzz() {
  git ls-files '*_test.go' | xargs grep -H -o '^func Fuzz[A-Za-z0-9_]*' | while IFS=: read -r file func; do
    name=${func#func }
    echo "fuzz $(dirname "$file") $name for $fuzztime"
    "$go" test "./$(dirname "$file")" -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" -fuzzminimizetime 1s </dev/null
  done
}

# The proofs follow by themselves, one after the other.
proofs='HoweverOftenTheGatewayIsKilled|PagesOfRandomTags|ManyBrowsersClickAtRandom|InAnyWorld|Linear|PowerLoss|EachStepMayFail|OutlivesAPowerCut|TestAfterAFailover'

part_tests() {
  echo "all tests: $SEEOTHER_KILLS kills, and 20 times as many cases of each property"
  RAPID_CHECKS=2000 "$go" test -count=1 -timeout 3h -skip "$proofs" ./...
}

part_proof() {
  echo "the proofs: $SEEOTHER_PROOF_KILLS kills, $SEEOTHER_HISTORIES histories for each store, $SEEOTHER_SEEDS seeds"
  SEEOTHER_TORTURE=1 "$go" test -count=1 -timeout 8h -p 1 -v -run "$proofs" ./store/... ./form/internal/rewrite ./test/simulation ./test/e2e |
    grep -v '^=== ' | tee bin/proof.txt
}

for part in $parts; do
  "part_$part"
done
