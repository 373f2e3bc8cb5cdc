#!/usr/bin/env bash
# Makes docs/demo.png: runs the demo, does to both shops what its buttons do,
# and takes the picture with headless Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."

gateway=127.0.0.1:8313
shop=127.0.0.1:8315
work=$(mktemp -d)
"${GO:-go}" build -o "$work/seeother" ./cmd/seeother
"$work/seeother" demo --listen "$gateway" --shop "$shop" >"$work/log" 2>&1 &
demo=$!
trap 'kill "$demo"; wait "$demo" || true; rm -rf "$work"' EXIT
until curl -sf -o /dev/null "http://$gateway/"; do
  kill -0 "$demo"
  sleep 0.1
done

post() { curl -s -o /dev/null -X POST -H "Idempotency-Key: $2" "http://$1/checkout" || true; }
for site in "$shop" "$gateway"; do
  post "$site" clicked-twice & first=$!
  post "$site" clicked-twice & second=$!
  wait "$first" "$second"
  curl -s -o /dev/null -X DELETE "http://$site/users/123"
done
curl -s -o /dev/null -X DELETE "http://$shop/users" # what a browser sends after 302
curl -s -o /dev/null "http://$gateway/users"        # and after 303
for site in "$shop" "$gateway"; do
  curl -s -o /dev/null -X POST "http://$site/crash"
  post "$site" crashed
  sleep 2
  post "$site" crashed
done
sandbox=()
if [ "$(id -u)" -eq 0 ]; then
  sandbox=(--no-sandbox)
fi
chromium --headless ${sandbox[@]+"${sandbox[@]}"} --disable-gpu --disable-quic --no-first-run --disable-background-networking \
  --disable-component-update --disable-sync --user-data-dir="$work/profile" \
  --screenshot="$PWD/docs/demo.png" --window-size=1180,1260 --timeout=3000 "http://$gateway/" 2>"$work/chromium"
ls -l docs/demo.png
