/* IMAP: one operation again and again on every connection (RFC 3501). */
#include "mailbench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads until the tagged line, past literals. */
static int completion(struct conn *c, const char *tag) {
  int length = strlen(tag), n;
  for (;;) {
    char *line = conn_line(c, &n);
    if (!line) return -1;
    if (n > length + 3 && !memcmp(line, tag, length) && line[length] == ' ') {
      if (line[length + 1] == 'O') return 1;
      fault("%.*s", n, line);
      return 0;
    }
    if (n >= 4 && line[n - 3] == '}') {
      char *brace = memrchr(line, '{', n);
      if (brace && conn_skip(c, atol(brace + 1))) return -1;
    }
  }
}

int imap_command(struct conn *c, int *sequence, const char *command) {
  char b[1024], tag[16];
  sprintf(tag, "t%d", ++*sequence);
  int n = snprintf(b, sizeof b, "%s %s\r\n", tag, command);
  return conn_put(c, b, n) ? -1 : completion(c, tag);
}

int imap_login(struct conn *c, int *sequence, long index) {
  char user[200], b[400];
  int n;
  if (conn_open(c, opt.count_port ? opt.count_port : opt.port, index) || !conn_line(c, &n)) return -1;
  user_name(user, index);
  sprintf(b, "LOGIN %s %s", user, opt.pass);
  return imap_command(c, sequence, b) == 1 ? 0 : -1;
}

/* On connections of their own that stay open. */
long imap_count_all(void) {
  static struct conn *watch[100];
  static int sequence;
  long sum = 0;
  for (long i = 0; i < opt.users && i < 100; i++) {
    int n;
    if (!watch[i]) {
      watch[i] = conn_new(8192);
      if (imap_login(watch[i], &sequence, i)) return -1;
    }
    if (conn_put(watch[i], "s STATUS INBOX (MESSAGES)\r\n", 27)) return -1;
    for (char *line; (line = conn_line(watch[i], &n)) && *line != 's';) {
      char *at = memmem(line, n, "MESSAGES ", 9);
      if (at) sum += atol(at + 9);
    }
  }
  return sum;
}

/* Into Sent, as clients do, so that the INBOX of the other operations stays as it is. */
static int append(struct conn *c, int *sequence) {
  char b[100], tag[16];
  int n;
  size_t length = body_length - 3; /* without the final dot line */
  sprintf(tag, "t%d", ++*sequence);
  if (conn_put(c, b, sprintf(b, "%s APPEND Sent {%zu}\r\n", tag, length))) return -1;
  char *line = conn_line(c, &n);
  if (!line || *line != '+' || conn_put_both(c, body, length, "\r\n", 2)) return -1;
  return completion(c, tag);
}

static int operation(struct conn *c, int *sequence, unsigned random, const char *op) {
  static const char *mix[] = {"fetch", "fetch", "fetch", "flags", "store", "noop", "search", "fetch"};
  static const struct { const char *op, *command; } fixed[] = {
    {"flags", "FETCH 1:* (UID FLAGS)"},
    {"env", "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"},
    {"hdr", "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])"},
    {"all", "FETCH 1:* (UID FLAGS BODY.PEEK[])"},
    {"search", "SEARCH UNSEEN"},
    {"noop", "NOOP"}};
  char b[100];
  int message = (random >> 8) % opt.mailbox + 1;
  if (!strcmp(op, "mixed")) op = mix[(random >> 20) % 8];
  if (!strcmp(op, "append")) return append(c, sequence);
  if (!strcmp(op, "fetch")) {
    sprintf(b, "FETCH %d (UID FLAGS BODY.PEEK[])", message);
    return imap_command(c, sequence, b);
  }
  if (!strcmp(op, "store")) {
    /* By a bit that the message does not depend on: most of them change the flag. */
    sprintf(b, "STORE %d %cFLAGS.SILENT (\\Flagged)", message, random >> 31 ? '+' : '-');
    return imap_command(c, sequence, b);
  }
  if (!strcmp(op, "searchtext")) {
    snprintf(b, sizeof b, "SEARCH TEXT %s", opt.word);
    return imap_command(c, sequence, b);
  }
  if (!strcmp(op, "command")) return imap_command(c, sequence, opt.word);
  if (!strcmp(op, "storeall")) {
    sprintf(b, "STORE 1:* %cFLAGS.SILENT (\\Seen)", *sequence & 1 ? '+' : '-');
    return imap_command(c, sequence, b);
  }
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
    if (!strcmp(op, fixed[i].op)) return imap_command(c, sequence, fixed[i].command);
  fprintf(stderr, "mailbench: no operation %s\n", op);
  exit(2);
}

/* A whole session each time: connect, LOGIN, SELECT, LOGOUT. */
static void logins(struct conn *c, long index, double end) {
  int sequence = 0;
  while (now() < end) {
    double begin = now();
    int lost = imap_login(c, &sequence, index) || imap_command(c, &sequence, "SELECT INBOX") != 1;
    if (!lost) lost = imap_command(c, &sequence, "LOGOUT") != 1;
    conn_close(c);
    if (lost) count_failed();
    else count_done(now() - begin);
  }
}

void *imap_run(void *argument) {
  long index = (long)argument;
  struct conn *c = conn_new(262144);
  int sequence = 0;
  unsigned random = index * 7919 + 13;
  double end = now() + opt.secs;
  if (!strcmp(opt.op, "login")) {
    logins(c, index, end);
    return NULL;
  }
  if (imap_login(c, &sequence, index) || imap_command(c, &sequence, "SELECT INBOX") != 1) {
    count_failed();
    return NULL;
  }
  while (now() < end) {
    double begin = now();
    random = random * 1103515245 + 12345;
    int ok = operation(c, &sequence, random, opt.op);
    if (ok == 1) count_done(now() - begin);
    else count_failed();
    if (ok < 0) break;
  }
  conn_close(c);
  return NULL;
}
