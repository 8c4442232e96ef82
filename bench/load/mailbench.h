/* What the parts of mailbench share: options, connections, counters. See mailbench.c. */
#ifndef MAILBENCH_H
#define MAILBENCH_H

#include <stddef.h>

struct options {
  const char *mode, *host;
  int port;
  int conns;        /* connections at a time, one thread each */
  long msgs;        /* smtp, sink: messages in all */
  int size;         /* octets of one message */
  int users, first; /* accounts PREFIX<first>.. that take turns */
  int mailbox;      /* imap: messages to choose from */
  int keep, pipe;   /* smtp: one connection for many messages; commands of a transaction in one write */
  int sources;      /* source addresses 127.0.1.1.. that take turns; 0: the system chooses. sink: on all addresses */
  int count_port;   /* smtp: IMAP port where the messages are counted until they are all there */
  int tls;          /* imap, idle, watch: TLS from the start */
  int starttls;     /* smtp: TLS by STARTTLS on every connection, never resumed */
  int rcpts;        /* smtp: recipients of each message, the users one after the other */
  int delay;        /* sink: milliseconds */
  int chunking;     /* sink: it offers CHUNKING */
  double secs;
  /* word: smtp: the first of the text; imap: the one that op=searchtext looks for, or all of op=command */
  char domain[128], from[128], to_domain[128], pass[64], op[32], word[64], prefix[32], dir[512], auth[160];
};
extern struct options opt;

/* One connection and what was read ahead from it. The buffer belongs to it: idle ones use a small one. */
struct conn {
  int fd;
  void *ssl;
  char *buf;
  int cap, start, end;
};

double now(void);
struct conn *conn_new(int cap);
int conn_open(struct conn *c, int port, long index); /* 0, or -1 */
int conn_secure(struct conn *c);                     /* TLS from here on; 0, or -1 */
void conn_close(struct conn *c);
int conn_put(struct conn *c, const char *octets, size_t n);
int conn_put_both(struct conn *c, const char *head, size_t n, const char *rest, size_t m);
char *conn_line(struct conn *c, int *length); /* valid until the next call; NULL when lost */
int conn_skip(struct conn *c, long n);

void count_done(double latency); /* one operation, its seconds */
void count_failed(void);
void fault(const char *format, ...); /* why something failed; the first is told at the end */
long failures(void);
long next_message(void); /* 0.. while there are messages to send, else -1 */

void make_body(void);
extern char *body; /* header, text and the final dot line */
extern size_t body_length;

void user_name(char *out, long index);
int imap_login(struct conn *c, int *sequence, long index);
int imap_command(struct conn *c, int *sequence, const char *command); /* 1 OK, 0 NO or BAD, -1 lost */
long imap_count_all(void);                                            /* messages in the INBOXes of all users */

void *smtp_run(void *index);
int smtp_greet(struct conn *c, long index); /* connects, EHLO, STARTTLS and AUTH where asked for; 0, or -1 */
int smtp_expect(struct conn *c, int code);  /* 0, or -1 */
void *imap_run(void *index);
void *pop3_run(void *index);
int idle_hold(void);
int idle_watch(void);
int smtp_hold(void);
int smtp_slow(void);
int sink(void);
int dns(void);
int disk(void);

#endif
