#!/usr/bin/env bash
# Resident memory of an idle object and of an idle session, of a server that nobody else uses.
#
#   cargo build --release -p abide-bench-server -p abide-load
#   benches/memory/measure.sh [sled|redb|memory]
#
# Each figure is the growth of VmRSS since the server has served the same number of connections on a few
# objects, divided by the number of objects or sessions. Three moments: right after (active), when the
# idle time of 10 s has passed (passivated, sessions hibernate), and for sessions after they closed.
# The goals: 8 KiB for an object, given back; 20 KiB for a session.
#   OBJECTS  objects that are called once (20000)      SESSIONS  idle sessions (2000)
#   BIN      folder of the programs (target/release)   DATA      where the store is made (a temporary folder)
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
: "${OBJECTS:=20000}" "${SESSIONS:=2000}" "${BIN:=$root/target/release}"
engine="${1:-sled}"
port=7140
server=""
data="$(mktemp -d "${DATA:-${TMPDIR:-/tmp}}/abide-memory.XXXXXX")"
trap 'stop; rm -rf "$data"' EXIT

start() {
  "$BIN/abide-bench-server" --listen "127.0.0.1:$port" --admin-listen 127.0.0.1:0 --engine "$engine" \
    --data "$data/store-$1" --log-filter warn > "$data/greeting" &
  server=$!
  until grep -q http "$data/greeting"; do kill -0 "$server"; sleep 0.02; done
}

stop() {
  if [ -n "$server" ]; then kill -TERM "$server"; wait "$server" || true; server=""; fi
}

rss() { awk '/^VmRSS/ { print $2 }' "/proc/$server/status"; }

load() { "$BIN/abide-load" --server "127.0.0.1:$port" --warmup 0 "$@" > "$data/load"; }

# what, number, before in KiB: prints the growth for one of them.
report() {
  awk -v engine="$engine" -v what="$1" -v number="$2" -v before="$3" -v now="$(rss)" 'BEGIN {
    printf "%-7s %-52s %9.2f KiB each  (%d KiB in all, from %d)\n", engine, what, (now - before) / number, now - before, before }'
}

# Calls each of OBJECTS once, over 32 connections.
objects() {
  start "$1"
  load calls --method "$1" --connections 32 --objects 64 --rate 2000 --duration 2
  sleep 15
  local before; before="$(rss)"
  load calls --method "$1" --connections 32 --objects "$OBJECTS" --rate $((OBJECTS / 5)) --duration 5
  report "object, $1, active" "$OBJECTS" "$before"
  sleep 25
  report "object, $1, after the idle time" "$OBJECTS" "$before"
  stop
}

# Opens SESSIONS and sends next to nothing on them.
sessions() {
  start "sessions-$1"
  load sessions --sessions 8 --objects 8 --rate 100 --duration 1
  sleep 12
  local before; before="$(rss)"
  load sessions --sessions "$SESSIONS" --objects "$1" --rate 0.1 --duration 30 &
  local driver=$!
  until [ "$(ls "/proc/$driver/fd" 2> /dev/null | wc -l)" -gt 0 ]; do sleep 0.05; done
  sleep 6
  report "session, $1 objects, opened a moment ago" "$SESSIONS" "$before"
  sleep 18
  report "session, $1 objects, hibernating" "$SESSIONS" "$before"
  wait "$driver"
  sleep 5
  report "session, $1 objects, closed" "$SESSIONS" "$before"
  stop
}

objects get
objects increment
sessions 1
sessions "$SESSIONS"
