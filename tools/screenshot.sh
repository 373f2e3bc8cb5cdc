#!/usr/bin/env bash
# Makes docs/demo.png: a test of the demo presses its buttons in headless Chromium,
# and takes pictures, on a phone and in the dark, too. The first argument is a folder
# to keep those in.
set -euo pipefail
cd "$(dirname "$0")/.."

pictures=${1:-$(mktemp -d)}
mkdir -p "$pictures"
SEEOTHER_TEST_ALL=1 SEEOTHER_PICTURES=$(realpath "$pictures") \
  "${GO:-go}" test -count=1 -timeout=5m -run='^TestDemoOfForms$' ./test/e2e
cp "$pictures/demo.png" docs/demo.png
ls -l docs/demo.png "$pictures"
