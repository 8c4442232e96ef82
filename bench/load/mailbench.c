/*
 * mailbench: a load generator for SMTP, IMAP and POP3 that knows nothing of the server it drives.
 *
 * One blocking thread a connection: the client costs little, and the same for every server. Prints one line of
 * key=value pairs; the exit code is 1 when an operation failed.
 *
 *   mailbench smtp HOST PORT conns=20 msgs=2000 size=4096 users=10 keep=0 pipe=0 rcpts=1 [starttls=1]
 *                  [count=IMAP_PORT] [auth=user:password]
 *   mailbench imap HOST PORT conns=8 secs=4 mailbox=200
 *                  op=fetch|flags|env|hdr|all|store|storeall|search|searchtext|command|mixed|noop|login|append
 *   mailbench pop3 HOST PORT conns=4 secs=4                    logs in, UIDL, RETR of up to 20 messages, again
 *   mailbench idle HOST PORT conns=1000 tls=1 sources=10      logs in, IDLE, holds until standard input ends
 *   mailbench watch HOST PORT conns=1000 tls=1 sources=10     the same; a line each time all were told of new mail
 *   mailbench hold HOST PORT conns=5000 sources=50            says EHLO, holds until standard input ends
 *   mailbench slow HOST PORT conns=2000 sources=50            sends an octet a second of a message, until then
 *   mailbench dns HOST PORT                                   answers by UDP, see dns.c; until then
 *   mailbench sink HOST PORT msgs=2000                         takes messages for anyone; ends after so many
 *   mailbench disk - 0 dir=DIR secs=2                          4 kB messages written and fdatasync'd in batches of 20
 *
 * Users are PREFIX1@DOMAIN to PREFIX<users>@DOMAIN (prefix=u, domain=example.test), all with the password pass=secret.
 */
#include "mailbench.h"
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options opt = {.conns = 20, .msgs = 2000, .size = 4096, .users = 10, .first = 1, .rcpts = 1, .mailbox = 1, .secs = 4,
  .domain = "example.test", .from = "other.test", .to_domain = "", .pass = "secret", .op = "fetch", .prefix = "u"};
char *body;
size_t body_length;

static long next_index, done, failed, latencies;
enum { MAX_LATENCIES = 4000000 };
static double *latency;

double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

void count_done(double seconds) {
  __sync_fetch_and_add(&done, 1);
  long i = __sync_fetch_and_add(&latencies, 1);
  if (i < MAX_LATENCIES) latency[i] = seconds;
}

void count_failed(void) { __sync_fetch_and_add(&failed, 1); }

long failures(void) { return failed; }

static char first_fault[300];

void fault(const char *format, ...) {
  static int told;
  va_list values;
  if (__sync_fetch_and_add(&told, 1) > 0) return;
  va_start(values, format);
  vsnprintf(first_fault, sizeof first_fault, format, values);
  va_end(values);
}

long next_message(void) {
  long i = __sync_fetch_and_add(&next_index, 1);
  return i < opt.msgs ? i : -1;
}

void user_name(char *out, long index) {
  sprintf(out, "%s%ld@%s", opt.prefix, index % opt.users + opt.first, opt.domain);
}

/* A plain text of words: what it says does not matter, but it must not compress to nothing. */
void make_body(void) {
  static const char *words[] = {"invoice", "meeting", "project", "server", "report", "please", "thanks", "update",
    "holiday", "budget", "review", "delivery", "customer", "contract", "schedule", "window"};
  unsigned r = 42;
  int column = 0;
  body = malloc(opt.size + 4096);
  size_t n = sprintf(body,
    "From: Bench Sender <s@%s>\r\nTo: You <u@%s>\r\nSubject: Bench message about quarterly figures\r\n"
    "Date: Sun, 22 Nov 2026 05:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
    opt.from, opt.domain);
  if (*opt.word) n += sprintf(body + n, "%s\r\n", opt.word);
  while ((int)n < opt.size - 3) {
    r = r * 1103515245 + 12345;
    const char *word = words[(r >> 16) & 15];
    int length = strlen(word);
    memcpy(body + n, word, length);
    n += length;
    body[n++] = ' ';
    column += length + 1;
    if (column > 68) {
      body[n++] = '\r';
      body[n++] = '\n';
      column = 0;
    }
  }
  memcpy(body + n, "\r\n.\r\n", 5);
  body_length = n + 5;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double percentile(double p) {
  long n = latencies < MAX_LATENCIES ? latencies : MAX_LATENCIES;
  return n == 0 ? 0 : latency[(long)((n - 1) * p)] * 1e3;
}

static void set(const char *key, const char *value) {
  static const struct { const char *key; int *number; } numbers[] = {
    {"conns", &opt.conns}, {"size", &opt.size}, {"users", &opt.users}, {"first", &opt.first},
    {"mailbox", &opt.mailbox}, {"keep", &opt.keep}, {"pipe", &opt.pipe}, {"sources", &opt.sources},
    {"count", &opt.count_port}, {"tls", &opt.tls}, {"starttls", &opt.starttls}, {"rcpts", &opt.rcpts},
    {"delay", &opt.delay}, {"chunking", &opt.chunking}};
  static const struct { const char *key; char *text; size_t cap; } texts[] = {
    {"domain", opt.domain, sizeof opt.domain}, {"from", opt.from, sizeof opt.from},
    {"to", opt.to_domain, sizeof opt.to_domain}, {"pass", opt.pass, sizeof opt.pass}, {"op", opt.op, sizeof opt.op},
    {"prefix", opt.prefix, sizeof opt.prefix}, {"dir", opt.dir, sizeof opt.dir}, {"word", opt.word, sizeof opt.word},
    {"auth", opt.auth, sizeof opt.auth}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (!strcmp(key, numbers[i].key)) { *numbers[i].number = atoi(value); return; }
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!strcmp(key, texts[i].key)) { snprintf(texts[i].text, texts[i].cap, "%s", value); return; }
  if (!strcmp(key, "msgs")) { opt.msgs = atol(value); return; }
  if (!strcmp(key, "secs")) { opt.secs = atof(value); return; }
  fprintf(stderr, "mailbench: no option %s\n", key);
  exit(2);
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: mailbench smtp|imap|pop3|idle|watch|hold|slow|sink|dns|disk HOST PORT [key=value...], see mailbench.c\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  opt.mode = argv[1];
  opt.host = argv[2];
  opt.port = atoi(argv[3]);
  for (int i = 4; i < argc; i++) {
    char *value = strchr(argv[i], '=');
    if (value) { *value = 0; set(argv[i], value + 1); }
  }
  latency = malloc(MAX_LATENCIES * sizeof *latency);
  make_body();
  if (!strcmp(opt.mode, "sink")) return sink();
  if (!strcmp(opt.mode, "disk")) return disk();
  if (!strcmp(opt.mode, "dns")) return dns();
  if (!strcmp(opt.mode, "hold")) return smtp_hold();
  if (!strcmp(opt.mode, "slow")) return smtp_slow();
  if (!strcmp(opt.mode, "idle")) return idle_hold();
  if (!strcmp(opt.mode, "watch")) return idle_watch();
  void *(*run)(void *) = !strcmp(opt.mode, "smtp") ? smtp_run : !strcmp(opt.mode, "pop3") ? pop3_run : imap_run;
  long before = opt.count_port ? imap_count_all() : 0;
  double begin = now();
  pthread_t *threads = calloc(opt.conns, sizeof *threads);
  for (long i = 0; i < opt.conns; i++) pthread_create(&threads[i], NULL, run, (void *)i);
  for (int i = 0; i < opt.conns; i++) pthread_join(threads[i], NULL);
  double seconds = now() - begin;
  qsort(latency, latencies < MAX_LATENCIES ? latencies : MAX_LATENCIES, sizeof *latency, ascending);
  printf("done=%ld failed=%ld secs=%.3f per_s=%.1f p50_ms=%.3f p99_ms=%.3f", done, failed, seconds, done / seconds,
    percentile(0.5), percentile(0.99));
  if (opt.count_port) {
    long want = before + done * opt.rcpts, there;
    while ((there = imap_count_all()) < want && now() - begin < seconds + 120)
      nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    double whole = now() - begin;
    printf(" filed=%ld filed_per_s=%.1f", there - before, (there - before) / whole);
    if (there < want) {
      failed++;
      fault("%ld messages filed of %ld", there - before, done * opt.rcpts);
    }
  }
  printf("\n");
  if (failed) fprintf(stderr, "%s\n", first_fault);
  return failed ? 1 : 0;
}
