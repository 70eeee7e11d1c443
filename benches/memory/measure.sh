#!/usr/bin/env bash
# Resident memory of an idle object and of an idle session, of a server that nobody else uses.
#
#   cargo build --release -p abide-bench-server -p abide-load
#   benches/memory/measure.sh [sled|redb|memory]
#
# Each figure is the growth of VmRSS since the server has served the same number of connections on a few
# objects, divided by the number of objects or sessions. Three moments: right after (active), when the
# idle time has passed (passivated, sessions hibernate), and for sessions after they closed. `increment`
# makes a commit: its growth includes the store's caches, which are bounded and do not go.
# The goals: 8 KiB for an object, given back; 6 KiB for a session.
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
    --data "$data/store-$1" --idle-timeout "$2s" --log-filter warn > "$data/greeting" &
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

# Calls a method of each of OBJECTS once in so many seconds; one connection, so that none is met twice.
objects() {
  local method="$1" seconds="$2" idle=$(($2 + 10)) before
  start "$method" "$idle"
  load calls --method "$method" --connections 1 --objects 64 --rate 64 --duration 1
  sleep $((idle + 2))
  before="$(rss)"
  load calls --method "$method" --connections 1 --objects "$OBJECTS" --rate $((OBJECTS / seconds)) --duration "$seconds"
  grep -q '"errors":{},' "$data/load"
  report "object, $method, active" "$OBJECTS" "$before"
  sleep $((idle + 20)) # the allocator gives pages back ten seconds after their last use
  report "object, $method, after the idle time" "$OBJECTS" "$before"
  stop
}

# Opens SESSIONS and sends next to nothing on them.
sessions() {
  start "sessions-$1" 10
  load sessions --sessions 8 --objects 8 --rate 100 --duration 1
  sleep 12
  local before; before="$(rss)"
  load sessions --sessions "$SESSIONS" --objects "$1" --rate 0.1 --duration 30 &
  local driver=$!
  sleep 6
  report "session, $1 objects, opened a moment ago" "$SESSIONS" "$before"
  sleep 18
  report "session, $1 objects, hibernating" "$SESSIONS" "$before"
  wait "$driver"
  sleep 5
  report "session, $1 objects, closed" "$SESSIONS" "$before"
  stop
}

objects get 5
objects increment 50
sessions 1
sessions "$SESSIONS"
