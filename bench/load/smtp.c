/* SMTP: sends messages one after the other, each connection for itself (RFC 5321, RFC 2920). */
#include "mailbench.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_RCPTS = 1000 };

static int reply(struct conn *c, int wanted) {
  int n;
  for (;;) {
    char *line = conn_line(c, &n);
    if (!line || n < 4) return -1;
    if (line[3] == '-') continue;
    int code = atoi(line);
    if (code != wanted) fault("%d was awaited, the answer is %.*s", wanted, n, line);
    return code;
  }
}

int smtp_expect(struct conn *c, int code) { return reply(c, code) == code ? 0 : -1; }

/* AUTH PLAIN (RFC 4616) with `user:password`. */
static int authenticate(struct conn *c) {
  char plain[200], line[400] = "AUTH PLAIN ";
  char *colon = strchr(opt.auth, ':');
  if (!colon) return -1;
  int n = snprintf(plain, sizeof plain, "%c%.*s%c%s", 0, (int)(colon - opt.auth), opt.auth, 0, colon + 1);
  int length = 11 + EVP_EncodeBlock((unsigned char *)line + 11, (unsigned char *)plain, n);
  memcpy(line + length, "\r\n", 2);
  return conn_put(c, line, length + 2) || smtp_expect(c, 235);
}

static int ehlo(struct conn *c) { return conn_put(c, "EHLO bench.test\r\n", 17) || smtp_expect(c, 250) ? -1 : 0; }

int smtp_greet(struct conn *c, long index) {
  if (conn_open(c, opt.port, index) || smtp_expect(c, 220) || ehlo(c)) return -1;
  if (opt.starttls) {
    if (conn_put(c, "STARTTLS\r\n", 10) || smtp_expect(c, 220) || conn_secure(c) || ehlo(c)) return -1;
  }
  return *opt.auth ? authenticate(c) : 0;
}

static int send_message(struct conn *c, long i) {
  char b[600 + MAX_RCPTS * 250];
  const char *to = *opt.to_domain ? opt.to_domain : opt.domain;
  int n = sprintf(b, "MAIL FROM:<s@%s>\r\n", opt.from);
  if (!opt.pipe) {
    if (conn_put(c, b, n) || smtp_expect(c, 250)) return -1;
    n = 0;
  }
  for (int r = 0; r < opt.rcpts; r++) {
    n += sprintf(b + n, "RCPT TO:<%s%ld@%s>\r\n", opt.prefix, (i * opt.rcpts + r) % opt.users + opt.first, to);
    if (!opt.pipe) {
      if (conn_put(c, b, n) || smtp_expect(c, 250)) return -1;
      n = 0;
    }
  }
  n += sprintf(b + n, "DATA\r\n");
  if (conn_put(c, b, n)) return -1;
  for (int replies = opt.pipe ? 1 + opt.rcpts : 0; replies > 0; replies--)
    if (smtp_expect(c, 250)) return -1;
  if (smtp_expect(c, 354)) return -1;
  n = sprintf(b, "Message-ID: <%ld.%d@bench.test>\r\n", i, (int)getpid());
  if (conn_put_both(c, b, n, body, body_length)) return -1;
  return smtp_expect(c, 250);
}

void *smtp_run(void *index) {
  struct conn *c = conn_new(65536);
  for (long i; (i = next_message()) >= 0;) {
    double begin = now();
    int lost = c->fd < 0 && smtp_greet(c, (long)index);
    if (!lost) lost = send_message(c, i);
    if (lost) {
      count_failed();
      conn_close(c);
      continue;
    }
    if (!opt.keep) {
      if (conn_put(c, "QUIT\r\n", 6) == 0) reply(c, 221);
      conn_close(c);
    }
    count_done(now() - begin);
  }
  if (c->fd >= 0) conn_put(c, "QUIT\r\n", 6);
  conn_close(c);
  return NULL;
}
