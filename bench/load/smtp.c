/* SMTP: sends messages one after the other, each connection for itself (RFC 5321, RFC 2920). */
#include "mailbench.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reply(struct conn *c) {
  int n;
  for (;;) {
    char *line = conn_line(c, &n);
    if (!line || n < 4) return -1;
    if (line[3] != '-') return atoi(line);
  }
}

static int expect(struct conn *c, int code) { return reply(c) == code ? 0 : -1; }

/* AUTH PLAIN (RFC 4616) with `user:password`. */
static int authenticate(struct conn *c) {
  char plain[200], line[400] = "AUTH PLAIN ";
  char *colon = strchr(opt.auth, ':');
  if (!colon) return -1;
  int n = snprintf(plain, sizeof plain, "%c%.*s%c%s", 0, (int)(colon - opt.auth), opt.auth, 0, colon + 1);
  int length = 11 + EVP_EncodeBlock((unsigned char *)line + 11, (unsigned char *)plain, n);
  memcpy(line + length, "\r\n", 2);
  return conn_put(c, line, length + 2) || expect(c, 235);
}

static int greet(struct conn *c, long index) {
  if (conn_open(c, opt.port, index) || expect(c, 220)) return -1;
  if (conn_put(c, "EHLO bench.test\r\n", 17) || expect(c, 250)) return -1;
  return *opt.auth ? authenticate(c) : 0;
}

static int send_message(struct conn *c, long i) {
  char b[600];
  const char *to = *opt.to_domain ? opt.to_domain : opt.domain;
  int n = sprintf(b, "MAIL FROM:<s@%s>\r\n", opt.from);
  if (!opt.pipe) {
    if (conn_put(c, b, n) || expect(c, 250)) return -1;
    n = 0;
  }
  n += sprintf(b + n, "RCPT TO:<%s%ld@%s>\r\n", opt.prefix, i % opt.users + opt.first, to);
  if (!opt.pipe) {
    if (conn_put(c, b, n) || expect(c, 250)) return -1;
    n = 0;
  }
  n += sprintf(b + n, "DATA\r\n");
  if (conn_put(c, b, n)) return -1;
  if (opt.pipe && (expect(c, 250) || expect(c, 250))) return -1;
  if (expect(c, 354)) return -1;
  n = sprintf(b, "Message-ID: <%ld.%d@bench.test>\r\n", i, (int)getpid());
  if (conn_put(c, b, n) || conn_put(c, body, body_length)) return -1;
  return expect(c, 250);
}

void *smtp_run(void *index) {
  struct conn *c = conn_new(65536);
  for (long i; (i = next_message()) >= 0;) {
    double begin = now();
    int lost = c->fd < 0 && greet(c, (long)index);
    if (!lost) lost = send_message(c, i);
    if (lost) {
      count_failed();
      conn_close(c);
      continue;
    }
    if (!opt.keep) {
      if (conn_put(c, "QUIT\r\n", 6) == 0) reply(c);
      conn_close(c);
    }
    count_done(now() - begin);
  }
  if (c->fd >= 0) conn_put(c, "QUIT\r\n", 6);
  conn_close(c);
  return NULL;
}
