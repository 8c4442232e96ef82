/*
 * A name server for checks of incoming mail (RFC 1035): every host and mail domain below `test` exists, with an MX, an
 * address and an SPF record that allows anybody; addresses have a name; whatever else is asked is not there, which may be
 * remembered for an hour (RFC 2308 3). Lists have their test entries (RFC 5782 5), without which nobody would ask them, and
 * nothing else.
 */
#include "mailbench.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { HEADER = 12, TYPE_A = 1, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16, NXDOMAIN = 3 };

static size_t put_name(unsigned char *to, const char *name) {
  unsigned char *at = to;
  for (const char *end; *name; name = *end ? end + 1 : end) {
    end = strchrnul(name, '.');
    *at++ = end - name;
    memcpy(at, name, end - name);
    at += end - name;
  }
  *at++ = 0;
  return at - to;
}

/* RDATA for a type, or 0 octets. */
static size_t data_of(int type, unsigned char *to) {
  static const char spf[] = "v=spf1 +all";
  switch (type) {
  case TYPE_A: return inet_pton(AF_INET, "127.0.1.1", to) == 1 ? 4 : 0;
  case TYPE_MX: to[0] = 0; to[1] = 10; return 2 + put_name(to + 2, "mx.bench.test");
  case TYPE_PTR: return put_name(to, "client.bench.test");
  case TYPE_TXT: to[0] = sizeof spf - 1; memcpy(to + 1, spf, sizeof spf - 1); return sizeof spf;
  }
  return 0;
}

/* The name of the question, with dots; the octets of the question, or 0 when it is none. */
static size_t question(const unsigned char *packet, size_t size, char *name) {
  size_t at = HEADER, n = 0;
  while (at < size && packet[at]) {
    size_t length = packet[at++];
    if (length > 63 || at + length >= size || n + length + 2 > 255) return 0;
    memcpy(name + n, packet + at, length);
    n += length;
    name[n++] = '.';
    at += length;
  }
  name[n ? n - 1 : 0] = 0;
  return at + 5 <= size ? at + 5 - HEADER : 0;
}

/* The authority that says how long nothing is nothing: SOA of the zone of the question's last label. */
static size_t put_soa(unsigned char *to, const unsigned char *packet, size_t asked) {
  static const unsigned char numbers[] = "\0\0\0\1\0\0\16\20\0\0\16\20\0\0\16\20\0\0\16\20";
  size_t last = HEADER, at = 12;
  for (size_t next = HEADER; packet[next] && next < HEADER + asked; next += packet[next] + 1) last = next;
  memcpy(to, "\300\0\0\0\0\1\0\0\16\20\0\0", 12);
  to[1] = last;
  to[3] = TYPE_SOA;
  at += put_name(to + at, "ns.bench.test");
  at += put_name(to + at, "admin.bench.test");
  memcpy(to + at, numbers, 20);
  at += 20;
  to[11] = at - 12;
  return at;
}

static int ends_with(const char *name, const char *end) {
  size_t n = strlen(name), m = strlen(end);
  return n >= m && !strcasecmp(name + n - m, end);
}

static int exists(const char *name, int type) {
  if (ends_with(name, "in-addr.arpa")) return type == TYPE_PTR;
  if (ends_with(name, "list.test")) {
    return type == TYPE_A && (!strncasecmp(name, "2.0.0.127.", 10) || !strncasecmp(name, "test.", 5));
  }
  return ends_with(name, ".test") && *name != '_' && !strcasestr(name, "._");
}

int dns(void) {
  int server = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(opt.port)};
  struct pollfd inputs[] = {{.fd = 0, .events = POLLIN}, {.fd = server, .events = POLLIN}};
  inet_pton(AF_INET, opt.host, &at.sin_addr);
  if (bind(server, (struct sockaddr *)&at, sizeof at)) { perror("mailbench: dns"); return 2; }
  printf("listening\n");
  fflush(stdout);
  while (poll(inputs, 2, -1) > 0 && !(inputs[0].revents & (POLLHUP | POLLIN))) {
    unsigned char p[1500];
    char name[256];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t size = recvfrom(server, p, 512, 0, (struct sockaddr *)&peer, &length);
    size_t asked = size < HEADER ? 0 : question(p, size, name);
    if (!asked) continue;
    int type = p[HEADER + asked - 4] << 8 | p[HEADER + asked - 3], there = exists(name, type);
    unsigned char *answer = p + HEADER + asked;
    size_t data = there ? data_of(type, answer + 12) : 0;
    p[2] = 0x84 | (p[2] & 1); /* an authoritative answer */
    p[3] = 0x80 | (there ? 0 : NXDOMAIN);
    memcpy(p + 4, "\0\1\0\0\0\0\0\0", 8);
    p[7] = data > 0;
    p[9] = data == 0;
    memcpy(answer, "\300\14\0\0\0\1\0\0\16\20\0\0", 12); /* the name asked for, class IN, an hour */
    answer[3] = type;
    answer[11] = data;
    size_t more = data ? 12 + data : put_soa(answer, p, asked);
    sendto(server, p, HEADER + asked + more, 0, (struct sockaddr *)&peer, length);
  }
  return 0;
}
