#!/usr/bin/env bash
# Starts the bench server in the foreground for the comparison harness; see README.md.
#   PORT       port of the public listener (7120); the next one is the operators'
#   DATA       folder of the store, emptied first unless KEEP_DATA=1
#   MODE       pinned: everything on one thread; otherwise one thread per core
#   ENGINE     sled, redb or memory (sled)
#   ABIDE_BIN  the program (target/release/abide-bench-server of this repository)
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
: "${PORT:=7120}" "${ENGINE:=sled}" "${MODE:=free}" "${KEEP_DATA:=0}"
: "${ABIDE_BIN:=$root/target/release/abide-bench-server}"
: "${DATA:?DATA names the folder of the store}"

if [ "$KEEP_DATA" != 1 ]; then rm -rf "$DATA"; fi
mkdir -p "$DATA"
threads=0
if [ "$MODE" = pinned ]; then threads=1; fi

# What it logs at info is nothing per request; warnings are worth seeing in the harness' log.
exec "$ABIDE_BIN" --listen "127.0.0.1:$PORT" --admin-listen "127.0.0.1:$((PORT + 1))" \
  --data "$DATA/store" --engine "$ENGINE" --threads "$threads" --log-filter warn
