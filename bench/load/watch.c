/*
 * Watching sessions: logs in and waits in IDLE on every connection. Each time all of them were told of a new message
 * since the last time, prints a line: told=N, and the seconds between the first that was told and the last.
 */
#include "mailbench.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { OPENERS = 4, EVENTS = 256 };
static struct conn **watchers;

static int go_idle(struct conn *c, long index) {
  int sequence = 0, n;
  if (imap_login(c, &sequence, index) || imap_command(c, &sequence, "SELECT INBOX") != 1) return -1;
  char *line = conn_put(c, "i IDLE\r\n", 8) ? NULL : conn_line(c, &n);
  return line && *line == '+' ? 0 : -1;
}

static void *open_some(void *argument) {
  for (long i = (long)argument; i < opt.conns; i += OPENERS) {
    watchers[i] = conn_new(2048);
    if (go_idle(watchers[i], i)) {
      if (!failures()) fprintf(stderr, "mailbench: session %ld: %.*s\n", i, watchers[i]->end, watchers[i]->buf);
      count_failed();
      conn_close(watchers[i]);
    }
  }
  return NULL;
}

/* Whether one of the lines that are there tells of messages; -1 when the connection is lost. */
static int told(struct conn *c) {
  int n, found = 0;
  do {
    char *line = conn_line(c, &n);
    if (!line) return -1;
    if (memmem(line, n, " EXISTS", 7)) found = 1;
  } while (memchr(c->buf + c->start, '\n', c->end - c->start));
  return found;
}

int idle_watch(void) {
  pthread_t openers[OPENERS];
  struct epoll_event events[EVENTS], event = {.events = EPOLLIN};
  char *heard = calloc(opt.conns, 1);
  double begin = now(), first = 0;
  long count = 0, lost = 0;
  int poll = epoll_create1(0);
  watchers = calloc(opt.conns, sizeof *watchers);
  for (long i = 0; i < OPENERS; i++) pthread_create(&openers[i], NULL, open_some, (void *)i);
  for (int i = 0; i < OPENERS; i++) pthread_join(openers[i], NULL);
  for (long i = 0; i < opt.conns; i++) {
    event.data.u64 = i;
    if (watchers[i]->fd >= 0) epoll_ctl(poll, EPOLL_CTL_ADD, watchers[i]->fd, &event);
  }
  event.data.u64 = opt.conns;
  epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event);
  printf("held=%ld failed=%ld secs=%.2f\n", opt.conns - failures(), failures(), now() - begin);
  fflush(stdout);
  for (;;) {
    int ready = epoll_wait(poll, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      long at = events[i].data.u64;
      char octet;
      if (at == opt.conns) {
        if (read(0, &octet, 1) <= 0) return failures() ? 1 : 0;
        continue;
      }
      int said = told(watchers[at]);
      if (said < 0) { conn_close(watchers[at]); lost++; continue; }
      if (!said || heard[at]) continue;
      heard[at] = 1;
      if (count++ == 0) first = now();
      if (count < opt.conns - failures()) continue;
      printf("told=%ld lost=%ld spread_secs=%.3f\n", count, lost, now() - first);
      fflush(stdout);
      memset(heard, 0, opt.conns);
      count = 0;
    }
  }
}
