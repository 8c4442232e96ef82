#!/usr/bin/env bash
# The peer's filter: Debian's rspamd as a milter (its proxy scans by itself), with Redis, loopback only, in a folder of its own.
#
#   rspamd.sh DIR installed
#   rspamd.sh DIR start PORT REDIS_PORT DNS_PORT    milter at PORT, names from DNS_PORT
#   rspamd.sh DIR stop
#   rspamd.sh DIR pids
#
# Modules as shipped; names are asked of the server that ours asks. What it would refuse or put off it only marks, because a
# client that comes back would be measured; the log tells errors only. One scanner a core.
set -euo pipefail
. "$(dirname "$0")/processes.sh"
dir=$(realpath -m "$1")
pids() {
  for file in "$dir"/{rspamd,redis}.pid; do
    [ -f "$file" ] || continue
    cat "$file"
    pgrep -P "$(cat "$file")" || true
  done
}
case $2 in
installed)
  command -v rspamd redis-server >/dev/null
  exit
  ;;
stop)
  running=$(pids)
  kill -TERM $running 2>/dev/null || true
  await_end 10 $running
  exit 0
  ;;
pids) pids; exit 0 ;;
esac
port=$3 redis=$4 dns=$5
mkdir -p "$dir"/{local.d,override.d}
chmod 755 "$dir"
cd "$dir/local.d"
echo "servers = \"127.0.0.1:$redis\";" >redis.conf
echo 'backend = "redis";' >classifier-bayes.conf
echo 'reject = 1000; add_header = 900; greylist = 800;' >actions.conf
echo "dns { nameserver = [\"127.0.0.1:$dns\"]; timeout = 1s; retransmits = 2; }" >options.inc
echo 'type = "console"; level = "error";' >logging.inc
echo 'enabled = false;' | tee worker-normal.inc worker-controller.inc worker-fuzzy.inc rspamd_update.conf >/dev/null
cat >worker-proxy.inc <<CONF
bind_socket = "127.0.0.1:$port";
milter = yes;
timeout = 30s;
count = $(nproc);
upstream "local" { default = yes; self_scan = yes; }
CONF
cd "$dir"
redis-server --port "$redis" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" --daemonize yes \
  --pidfile "$dir/redis.pid" >"$dir/redis.log" 2>&1
# `-i`: as root, which nothing here is worth another user for.
rspamd -f -i --var "LOCAL_CONFDIR=$dir" --var "DBDIR=$dir" --var "RUNDIR=$dir" --var "LOGDIR=$dir" \
  </dev/null >"$dir/rspamd.log" 2>&1 &
echo $! >"$dir/rspamd.pid"
for _ in $(seq 300); do
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && exit 0
  kill -0 "$(cat "$dir/rspamd.pid")" || break
  sleep 0.1
done
cat "$dir/rspamd.log" >&2
exit 1
