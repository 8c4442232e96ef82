/* A next hop that takes every message and forgets it; measures from the first connection to the last message. With a delay it
   is as far away as that: the greeting and each reply leave so much later than what they answer came, however many are under
   way. Offers CHUNKING where asked to. */
#include "mailbench.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static long taken, connections;
static double first, last;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_taken = PTHREAD_COND_INITIALIZER;

static void took_one(void) {
  pthread_mutex_lock(&lock);
  last = now();
  if (++taken >= opt.msgs) pthread_cond_signal(&all_taken);
  pthread_mutex_unlock(&lock);
}

/* Replies on their way, oldest first. */
struct line { double due; char text[120]; int length, message; };
#define MOST_LINES 1024
struct away { struct line lines[MOST_LINES]; int first, count; };

static void answer(struct away *away, const char *text, int message) {
  if (away->count == MOST_LINES) { fprintf(stderr, "mailbench: sink: too many replies under way\n"); exit(2); }
  struct line *line = &away->lines[(away->first + away->count++) % MOST_LINES];
  line->due = now() + opt.delay / 1000.0;
  line->length = snprintf(line->text, sizeof line->text, "%s", text);
  line->message = message;
}

/* Sends what is due, in one write; 0, or -1 when the peer is gone. */
static int send_due(struct conn *c, struct away *away) {
  char out[16384];
  int length = 0, messages = 0;
  double at = now();
  while (away->count > 0 && away->lines[away->first].due <= at && length + 120 < (int)sizeof out) {
    struct line *line = &away->lines[away->first];
    memcpy(out + length, line->text, line->length);
    length += line->length;
    messages += line->message;
    away->first = (away->first + 1) % MOST_LINES;
    away->count--;
  }
  while (messages-- > 0) took_one();
  return length > 0 ? conn_put(c, out, length) : 0;
}

/* Octets are there, or everything before them was sent; -1 when the peer is gone. */
static int until_octets(struct conn *c, struct away *away) {
  for (;;) {
    struct pollfd poll_fd = {.fd = c->fd, .events = POLLIN};
    if (send_due(c, away)) return -1;
    if (c->start < c->end) return 0;
    double wait = away->count > 0 ? (away->lines[away->first].due - now()) * 1000 : -1;
    if (poll(&poll_fd, 1, away->count > 0 ? (wait > 0 ? (int)wait + 1 : 0) : -1) > 0) return 0;
  }
}

static int is(const char *line, const char *verb) { return !strncasecmp(line, verb, 4); }

static void *serve(void *argument) {
  struct conn *c = argument;
  struct away *away = calloc(1, sizeof *away);
  char *line;
  int n, in_data = 0;
  answer(away, "220 sink.test ESMTP\r\n", 0);
  while (until_octets(c, away) == 0 && (line = conn_line(c, &n))) {
    if (in_data) {
      if (n != 3 || *line != '.') continue;
      in_data = 0;
      answer(away, "250 2.0.0 taken\r\n", 1);
    } else if (is(line, "EHLO")) {
      answer(away, opt.chunking ? "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 SIZE 100000000\r\n"
                                : "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n", 0);
    } else if (is(line, "BDAT")) {
      int last = strcasestr(line, "LAST") != NULL;
      if (conn_skip(c, atol(line + 5))) break;
      answer(away, last ? "250 2.0.0 taken\r\n" : "250 2.0.0 more\r\n", last);
    } else if (is(line, "DATA")) {
      in_data = 1;
      answer(away, "354 go on\r\n", 0);
    } else if (is(line, "QUIT")) {
      answer(away, "221 2.0.0 bye\r\n", 0); /* behind all that is under way: QUIT may follow the end of a message at once */
      while (away->count > 0 && send_due(c, away) == 0) {
        double wait = away->count > 0 ? away->lines[away->first].due - now() : 0;
        if (wait > 0) usleep(wait * 1e6 + 1);
      }
      break;
    } else {
      answer(away, "250 2.0.0 ok\r\n", 0);
    }
  }
  conn_close(c);
  free(c->buf);
  free(c);
  free(away);
  return NULL;
}

static void *accept_all(void *argument) {
  int listener = *(int *)argument, one = 1;
  for (;;) {
    struct conn *c = conn_new(65536);
    pthread_t thread;
    c->fd = accept(listener, NULL, NULL);
    if (c->fd < 0) return NULL;
    if (connections++ == 0) first = now();
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pthread_create(&thread, NULL, serve, c);
    pthread_detach(thread);
  }
}

int sink(void) {
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  pthread_t acceptor;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(opt.port)};
  if (opt.sources) at.sin_addr.s_addr = htonl(INADDR_ANY);
  else inet_pton(AF_INET, opt.host, &at.sin_addr);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 2000)) {
    perror("mailbench: sink");
    return 2;
  }
  printf("listening\n");
  fflush(stdout);
  pthread_create(&acceptor, NULL, accept_all, &listener);
  pthread_mutex_lock(&lock);
  while (taken < opt.msgs) pthread_cond_wait(&all_taken, &lock);
  pthread_mutex_unlock(&lock);
  printf("taken=%ld connections=%ld secs=%.3f at=%.3f\n", taken, connections, last - first, last);
  return 0;
}
