/* A next hop that takes every message and forgets it; measures from the first connection to the last message. With a delay it
   is as far away as that: the answer to the greeting, to each group of commands and to the end of data comes so much later. */
#include "mailbench.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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

static void wait_a_little(void) {
  if (opt.delay > 0) usleep(opt.delay * 1000);
}

static int is(const char *line, const char *verb) { return !strncasecmp(line, verb, 4); }

static void *serve(void *argument) {
  struct conn *c = argument;
  char *line;
  int n, in_data = 0, fresh = 1;
  wait_a_little();
  conn_put(c, "220 sink.test ESMTP\r\n", 21);
  for (;;) {
    fresh = c->start == c->end;
    if (!(line = conn_line(c, &n))) break;
    if (!in_data && fresh) wait_a_little();
    if (in_data) {
      if (n != 3 || *line != '.') continue;
      wait_a_little();
      in_data = 0;
      took_one();
      conn_put(c, "250 2.0.0 taken\r\n", 17);
    } else if (is(line, "EHLO")) {
      conn_put(c, "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n", 65);
    } else if (is(line, "DATA")) {
      in_data = 1;
      conn_put(c, "354 go on\r\n", 11);
    } else if (is(line, "QUIT")) {
      conn_put(c, "221 2.0.0 bye\r\n", 15);
      break;
    } else {
      conn_put(c, "250 2.0.0 ok\r\n", 14);
    }
  }
  conn_close(c);
  free(c->buf);
  free(c);
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
