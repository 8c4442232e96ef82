/* POP3: a session after the other, each reading up to 20 messages or mailbox=N of them (RFC 1939). Counts RETR. */
#include "mailbench.h"
#include <stdio.h>

static int status(struct conn *c) {
  int n;
  char *line = conn_line(c, &n);
  if (line && *line == '+') return 0;
  if (line) fault("%.*s", n, line);
  return -1;
}

/* Lines up to the final dot; -1 when lost. */
static int multi_line(struct conn *c) {
  int n, lines = 0;
  for (char *line; (line = conn_line(c, &n)); lines++)
    if (n == 3 && *line == '.') return lines;
  return -1;
}

static int session(struct conn *c, long index) {
  char user[200], b[300];
  user_name(user, index);
  if (conn_open(c, opt.port, index) || status(c)) return -1;
  if (conn_put(c, b, sprintf(b, "USER %s\r\n", user)) || status(c)) return -1;
  if (conn_put(c, b, sprintf(b, "PASS %s\r\n", opt.pass)) || status(c)) return -1;
  if (conn_put(c, "UIDL\r\n", 6) || status(c)) return -1;
  int messages = multi_line(c);
  if (messages < 0) return -1;
  for (int i = 1; i <= messages && i <= (opt.mailbox > 1 ? opt.mailbox : 20); i++) {
    double begin = now();
    if (conn_put(c, b, sprintf(b, "RETR %d\r\n", i)) || status(c) || multi_line(c) < 0) return -1;
    count_done(now() - begin);
  }
  return conn_put(c, "QUIT\r\n", 6) || status(c);
}

/* The maildrop is locked while a session has it, so no two connections may use one user at a time. */
void *pop3_run(void *argument) {
  struct conn *c = conn_new(262144);
  double end = now() + opt.secs;
  for (long index = (long)argument, round = 0; now() < end; round++) {
    int per = opt.users / opt.conns > 0 ? opt.users / opt.conns : 1;
    if (session(c, index * per + round % per)) count_failed();
    conn_close(c);
  }
  return NULL;
}
