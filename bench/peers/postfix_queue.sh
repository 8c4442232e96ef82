#!/usr/bin/env bash
# The peer of the queue's figures: Debian's Postfix, which takes mail and does not send it until it is told to.
#
#   postfix_queue.sh DIR start PORT SINK_PORT DOMAINS keep|new   takes mail for d0.test ... on PORT; nobody sends
#   postfix_queue.sh DIR send                                    the queue manager starts
#   postfix_queue.sh DIR stop
#
# Tuned for speed: a process for every connection, 20 to each destination from the start, no delay between messages, no TLS, no
# DNS. `keep`: connections are kept and used again; `new`: each message has its own, which is faster where the destination is
# near. Needs root and Debian's postfix.
set -euo pipefail
dir=$(realpath -m "$1")
case $2 in
send)
  postconf -c "$dir/postfix" -e master_service_disable=
  postfix -c "$dir/postfix" reload </dev/null >>"$dir/start.log" 2>&1
  exit 0
  ;;
stop)
  postfix -c "$dir/postfix" stop </dev/null >>"$dir/start.log" 2>&1 || true
  exit 0
  ;;
esac
port=$3 sink=$4 domains=$5 connections=$6
mkdir -p "$dir"/{postfix,queue,state}
chmod 755 "$dir"
chown postfix "$dir/state"
for n in $(seq 0 $((domains - 1))); do echo "d$n.test smtp:[127.0.2.$((n + 1))]:$sink"; done >"$dir/transport"
cat >"$dir/postfix/main.cf" <<CONF
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/state
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_bind_address =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
transport_maps = texthash:$dir/transport
master_service_disable = qmgr.unix
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtp_host_lookup = native
smtp_connection_cache_destinations = $([[ $connections == keep ]] && echo "texthash:$dir/cached")
smtp_connection_cache_on_demand = $([[ $connections == keep ]] && echo yes || echo no)
smtp_connection_reuse_count_limit = 0
in_flow_delay = 0
default_process_limit = 1100
initial_destination_concurrency = 20
default_destination_concurrency_limit = 20
qmgr_message_active_limit = 100000
qmgr_message_recipient_limit = 100000
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
maillog_file_prefixes = $dir
maillog_file = $dir/postfix.log
CONF
for n in $(seq 0 $((domains - 1))); do echo "[127.0.2.$((n + 1))]:$sink x"; done >"$dir/cached"
sed -E -e '/^#/d' -e "s/^smtp +inet .*/127.0.0.1:$port inet n - n - 100 smtpd/" \
  -e 's/^(\S+ +\S+ +\S+ +\S+ +)y/\1n/' /etc/postfix/master.cf >"$dir/postfix/master.cf"
grep -q '^postlog ' "$dir/postfix/master.cf" || echo 'postlog unix-dgram n - n - 1 postlogd' >>"$dir/postfix/master.cf"
mkdir -p "$dir"/postfix/{dynamicmaps.cf.d,postfix-files.d}
cp /etc/postfix/postfix-files "$dir/postfix/" 2>/dev/null || true
cp /etc/postfix/dynamicmaps.cf "$dir/postfix/" 2>/dev/null || true
postfix -c "$dir/postfix" start </dev/null >"$dir/start.log" 2>&1
