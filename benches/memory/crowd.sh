#!/usr/bin/env bash
# As many sessions as possible on one object, what each costs while its object hibernates, and frames to all of them.
#
#   cargo build --release -p abide-bench-server -p abide-load
#   benches/memory/crowd.sh
#
# The driver and the server need an open file for each session: `ulimit -Hn` must be above SESSIONS in both, or the
# line of JSON says how many there were and why not more.
#   SESSIONS  wanted (100000)     IDLE  seconds before they are measured (30)
#   BIN       folder of the programs (target/release)
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
: "${SESSIONS:=100000}" "${IDLE:=30}" "${BIN:=$root/target/release}"
ulimit -n "$(ulimit -Hn)"
# The driver reads nothing while it gathers, so it answers no pings: hence the long ones.
data="$(mktemp -d "${DATA:-${TMPDIR:-/tmp}}/abide-crowd.XXXXXX")"
server=""
trap 'if [ -n "$server" ]; then kill -TERM "$server"; wait "$server" || true; fi; rm -rf "$data"' EXIT

"$BIN/abide-bench-server" --listen 127.0.0.1:7141 --admin-listen 127.0.0.1:0 --engine memory --idle-timeout 5s \
  --connections-max 1000000 --sessions-per-object-max 1000000 --memory-max 8GiB \
  --ping-interval 3600s --ping-timeout 7200s --log-filter error > "$data/greeting" &
server=$!
until grep -q http "$data/greeting"; do kill -0 "$server"; sleep 0.02; done
# What the first sessions need and all share is not what one costs.
"$BIN/abide-load" --server 127.0.0.1:7141 --duration 1 crowd --sessions 64 --rounds 2 > "$data/first"
sleep 2
"$BIN/abide-load" --server 127.0.0.1:7141 --server-pid "$server" --duration "$IDLE" crowd --sessions "$SESSIONS"
