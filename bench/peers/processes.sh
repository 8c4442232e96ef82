# What the peers' scripts share; they read this file.

# await_end SECONDS PID...   waits until all have ended; kills those that have not by then
await_end() {
  local tenths=$(($1 * 10)) left=
  shift
  for _ in $(seq "$tenths"); do
    left=$(for p in "$@"; do [ -d "/proc/$p" ] && echo "$p"; done || true)
    [ -n "$left" ] || return 0
    sleep 0.1
  done
  kill -KILL $left 2>/dev/null || true
}
