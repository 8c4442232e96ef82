/* Connections that are held: idle after EHLO, or in the middle of a message that comes an octet a second. */
#include "mailbench.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct conn **hold_all(int (*reach)(struct conn *c, long index)) {
  struct conn **held = calloc(opt.conns, sizeof *held);
  int count = 0;
  double begin = now();
  for (long i = 0; i < opt.conns; i++) {
    held[i] = conn_new(1024);
    if (reach(held[i], i)) { count_failed(); conn_close(held[i]); }
    else count++;
  }
  printf("held=%d failed=%ld secs=%.2f\n", count, failures(), now() - begin);
  fflush(stdout);
  return held;
}

int smtp_hold(void) {
  char octet;
  hold_all(smtp_greet);
  while (read(0, &octet, 1) > 0) {}
  return failures() ? 1 : 0;
}

static int begin_message(struct conn *c, long index) {
  char b[700];
  if (smtp_greet(c, index)) return -1;
  int n = sprintf(b, "MAIL FROM:<s@%s>\r\nRCPT TO:<%s%ld@%s>\r\nDATA\r\n", opt.from, opt.prefix,
    index % opt.users + opt.first, opt.domain);
  return conn_put(c, b, n) || smtp_expect(c, 250) || smtp_expect(c, 250) || smtp_expect(c, 354) ? -1 : 0;
}

/* The octets of a header and of words, never the end of data. */
int smtp_slow(void) {
  static const char text[] = "Subject: slow\r\n\r\nword and word and word and word and word and word and word\r\n";
  struct conn **held = hold_all(begin_message);
  struct pollfd input = {.fd = 0, .events = POLLIN};
  for (size_t at = 0; poll(&input, 1, 0) == 0; at++) {
    double begin = now();
    /* In turns within the second, as independent senders are. */
    for (long i = 0; i < opt.conns; i++) {
      if (held[i]->fd >= 0 && conn_put(held[i], &text[at % (sizeof text - 1)], 1)) conn_close(held[i]);
      double early = begin + (double)(i + 1) / opt.conns - now();
      if (early > 0.002) usleep(early * 1e6);
    }
  }
  int left = 0;
  for (long i = 0; i < opt.conns; i++) left += held[i]->fd >= 0;
  printf("left=%d\n", left);
  return 0;
}
