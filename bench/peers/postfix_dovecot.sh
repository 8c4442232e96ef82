#!/usr/bin/env bash
# The peer: Debian's Postfix + Dovecot (LMTP, Maildir, fsync as shipped), loopback only, in a folder of its own.
#
#   postfix_dovecot.sh DIR start BASE RELAY_PORT CERTIFICATE   ports BASE+25 SMTP, +143 IMAP, +993 IMAPS, +110 POP3
#   postfix_dovecot.sh DIR filter PORT|off            mail goes by the milter at PORT, or by none
#   postfix_dovecot.sh DIR stop
#   postfix_dovecot.sh DIR pids                       of everything that runs
#
# Users u1..u10, d1..d10 and r1..r100@example.test, password secret; mail to other domains goes to
# 127.0.0.1:RELAY_PORT; TLS by CERTIFICATE.crt and .key.
# Tuned to be fast and durable: no in_flow_delay, enough processes and concurrency, many recipients a delivery, an
# authentication cache, processes kept for many sessions, memory for a million messages. Needs root (Postfix starts as
# nothing else) and Debian's postfix dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd. Mailboxes belong to Debian's
# user "mail".
set -euo pipefail
. "$(dirname "$0")/processes.sh"
dir=$(realpath -m "$1")
# Both masters and their children, which have none of their own.
pids() {
  for master in $(cat "$dir/queue/pid/master.pid" "$dir/run/master.pid" 2>/dev/null | tr -d ' '); do
    echo "$master"
    pgrep -P "$master" || true
  done
}
case $2 in
stop)
  running=$(pids)
  postfix -c "$dir/postfix" stop 2>/dev/null || true
  doveadm -c "$dir/dovecot.conf" stop 2>/dev/null || true
  await_end 5 $running
  exit 0
  ;;
filter)
  [ "$3" = off ] && milters='' || milters="inet:127.0.0.1:$3"
  postconf -c "$dir/postfix" -e "smtpd_milters=$milters" milter_default_action=tempfail
  postfix -c "$dir/postfix" reload </dev/null >>"$dir/start.log" 2>&1
  exit 0
  ;;
pids) pids; exit 0 ;;
esac
base=$3 relay=$4 certificate=$5
mkdir -p "$dir"/{postfix,mail,run,queue,state}
chmod 755 "$dir"
chown mail: "$dir/mail"
chown postfix "$dir/state"
cp "$certificate.crt" "$dir/cert.pem"
cp "$certificate.key" "$dir/key.pem"
for user in {u,d}{1..10} r{1..100}; do echo "$user@example.test:{PLAIN}secret::::::"; done >"$dir/users"

cat >"$dir/dovecot.conf" <<CONF
base_dir = $dir/run
log_path = $dir/dovecot.log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <$dir/cert.pem
ssl_key = <$dir/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_cache_size = 10M
mail_location = maildir:$dir/mail/%n
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
mail_max_userip_connections = 10000
default_client_limit = 20000
default_process_limit = 2000
default_vsz_limit = 2G
passdb {
  driver = passwd-file
  args = $dir/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=$dir/mail/%n
}
namespace inbox {
  inbox = yes
  mailbox Sent {
    auto = create
    special_use = \Sent
  }
}
service imap-login {
  inet_listener imap {
    port = $((base + 143))
  }
  inet_listener imaps {
    port = $((base + 993))
    ssl = yes
  }
  service_count = 0
}
service imap {
  process_limit = 2000
  process_min_avail = 8
  service_count = 1000
}
service pop3-login {
  inet_listener pop3 {
    port = $((base + 110))
  }
  inet_listener pop3s {
    port = 0
  }
  service_count = 0
}
service pop3 {
  process_min_avail = 4
  service_count = 1000
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
  process_min_avail = 4
  service_count = 0
}
CONF

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
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:ok
virtual_transport = lmtp:unix:$dir/run/lmtp
relayhost = [127.0.0.1]:$relay
smtp_tls_security_level = none
in_flow_delay = 0
default_process_limit = 200
default_destination_concurrency_limit = 20
lmtp_destination_concurrency_limit = 20
lmtp_destination_recipient_limit = 100
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_tls_cert_file = $dir/cert.pem
smtpd_tls_key_file = $dir/key.pem
smtpd_tls_security_level = may
smtpd_peername_lookup = no
maillog_file_prefixes = $dir
maillog_file = $dir/postfix.log
message_size_limit = 60000000
CONF
# Debian's services without chroot (the LMTP socket lies in this folder), SMTP on our port with 100 processes.
sed -E -e '/^#/d' -e "s/^smtp +inet .*/127.0.0.1:$((base + 25)) inet n - n - 100 smtpd/" \
  -e 's/^(\S+ +\S+ +\S+ +\S+ +)y/\1n/' /etc/postfix/master.cf >"$dir/postfix/master.cf"
grep -q '^postlog ' "$dir/postfix/master.cf" || echo 'postlog unix-dgram n - n - 1 postlogd' >>"$dir/postfix/master.cf"
mkdir -p "$dir/postfix"/{dynamicmaps.cf.d,postfix-files.d}
cp /etc/postfix/postfix-files "$dir/postfix/" 2>/dev/null || true
cp /etc/postfix/dynamicmaps.cf "$dir/postfix/" 2>/dev/null || true
# Daemons keep what they are given: no pipe of whoever calls this.
dovecot -c "$dir/dovecot.conf" </dev/null >"$dir/start.log" 2>&1
postfix -c "$dir/postfix" start </dev/null >>"$dir/start.log" 2>&1
