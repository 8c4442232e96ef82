#!/usr/bin/env bash
# The peer in JavaScript: Haraka from npm, loopback only, in a folder of its own.
#
#   haraka.sh DIR install         into $HARAKA_HOME, by npm, unless it is there; prints the version
#   haraka.sh DIR start PORT      SMTP
#   haraka.sh DIR stop
#   haraka.sh DIR pids
#
# Its most durable way to take mail: the queue of outbound, whose files it syncs (fsync) before it answers 250; a crash of
# the machine may still lose the name in the folder, which it does not sync. Nothing is delivered from there, so that all
# of the machine is for accepting. One process a core, no checks but that of the domain, the log as shipped.
set -euo pipefail
. "$(dirname "$0")/processes.sh"
version=3.3.4
dir=$(realpath -m "$1")
home=${HARAKA_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/veredus-bench/haraka-$version}
pids() {
  [ -f "$dir/pid" ] || return 0
  cat "$dir/pid"
  pgrep -P "$(cat "$dir/pid")" || true
}
case $2 in
install)
  [ -f "$home/node_modules/Haraka/package.json" ] ||
    npm install --prefix "$home" --no-audit --no-fund --omit=optional "Haraka@$version" >&2
  node -p "require('$home/node_modules/Haraka/package.json').version"
  exit 0
  ;;
stop)
  running=$(pids)
  kill -KILL $running 2>/dev/null || true # what it was given is no longer wanted
  await_end 5 $running
  exit 0
  ;;
pids) pids; exit 0 ;;
esac
port=$3
mkdir -p "$dir"/{config,queue}
cp -r "$home"/node_modules/Haraka/config/. "$dir/config/"
echo mx.example.test >"$dir/config/me"
echo example.test >"$dir/config/host_list"
printf 'rcpt_to.in_host_list\nqueue/lmtp\n' >"$dir/config/plugins"
printf 'listen=127.0.0.1:%s\nnodes=cpus\n' "$port" >"$dir/config/smtp.ini"
echo "disabled=true" >"$dir/config/outbound.ini"
# Daemons keep what they are given: no pipe of whoever calls this.
nohup node "$home/node_modules/Haraka/bin/haraka" -c "$dir" </dev/null >"$dir/haraka.log" 2>&1 &
echo $! >"$dir/pid"
for _ in $(seq 100); do
  (exec 3<>"/dev/tcp/127.0.0.1/$port" && head -c 3 <&3 >/dev/null) 2>/dev/null && exit 0
  sleep 0.1
done
tail -20 "$dir/haraka.log" >&2
exit 1
