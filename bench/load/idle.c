/* Idle sessions: logs in and waits in IDLE on every connection, until standard input ends. */
#include "mailbench.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int go_idle(struct conn *c, long index) {
  int sequence = 0, n;
  if (imap_login(c, &sequence, index) || imap_command(c, &sequence, "SELECT INBOX") != 1) return -1;
  char *line = conn_put(c, "i IDLE\r\n", 8) ? NULL : conn_line(c, &n);
  return line && *line == '+' ? 0 : -1;
}

int idle_hold(void) {
  int held = 0;
  char octet;
  double begin = now();
  for (long i = 0; i < opt.conns; i++) {
    if (go_idle(conn_new(8192), i)) count_failed();
    else held++;
  }
  printf("held=%d failed=%ld secs=%.2f\n", held, failures(), now() - begin);
  fflush(stdout);
  while (read(0, &octet, 1) > 0) {}
  return failures() ? 1 : 0;
}
