/* Connections: dialling, TLS, whole writes, lines. */
#include "mailbench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static SSL_CTX *tls_context(void) {
  static SSL_CTX *context;
  if (!context) {
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  }
  return context;
}

struct conn *conn_new(int cap) {
  struct conn *c = calloc(1, sizeof *c);
  c->fd = -1;
  c->cap = cap;
  c->buf = malloc(cap);
  return c;
}

int conn_open(struct conn *c, int port, long index) {
  int one = 1;
  struct timeval patience = {60, 0};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, opt.host, &to.sin_addr);
  c->start = c->end = 0;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (opt.sources) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000101 + index % opt.sources);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    bind(c->fd, (struct sockaddr *)&from, sizeof from);
  }
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) {
    fault("connect to port %d: %s", port, strerror(errno));
    conn_close(c);
    return -1;
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return opt.tls ? conn_secure(c) : 0;
}

/* A session of its own each time: nothing is kept that could be resumed. */
int conn_secure(struct conn *c) {
  SSL *ssl = SSL_new(tls_context());
  SSL_set_fd(ssl, c->fd);
  c->ssl = ssl;
  if (SSL_connect(ssl) == 1) return 0;
  fault("no TLS");
  conn_close(c);
  return -1;
}

void conn_close(struct conn *c) {
  if (c->ssl) SSL_free(c->ssl);
  if (c->fd >= 0) close(c->fd);
  c->ssl = NULL;
  c->fd = -1;
}

int conn_put(struct conn *c, const char *octets, size_t n) {
  while (n > 0) {
    ssize_t k = c->ssl ? SSL_write(c->ssl, octets, n) : write(c->fd, octets, n);
    if (k <= 0) {
      fault("write: %s", strerror(errno));
      return -1;
    }
    octets += k;
    n -= k;
  }
  return 0;
}

/* In one write where the socket takes it, as clients send a message that they have whole. */
int conn_put_both(struct conn *c, const char *head, size_t n, const char *rest, size_t m) {
  struct iovec both[] = {{(void *)head, n}, {(void *)rest, m}};
  if (c->ssl) return conn_put(c, head, n) || conn_put(c, rest, m) ? -1 : 0;
  ssize_t k = writev(c->fd, both, 2);
  if (k <= 0) return -1;
  size_t sent = k;
  if (sent < n) return conn_put(c, head + sent, n - sent) || conn_put(c, rest, m) ? -1 : 0;
  return conn_put(c, rest + (sent - n), m - (sent - n));
}

static int fill(struct conn *c) {
  char *to = c->buf + c->end;
  int k = c->ssl ? SSL_read(c->ssl, to, c->cap - c->end) : (int)read(c->fd, to, c->cap - c->end);
  if (k > 0) c->end += k;
  else fault(k == 0 ? "the server closed" : "read: %s", strerror(errno));
  return k;
}

char *conn_line(struct conn *c, int *length) {
  for (;;) {
    char *line = c->buf + c->start, *newline = memchr(line, '\n', c->end - c->start);
    if (newline) {
      *length = newline - line + 1;
      c->start += *length;
      return line;
    }
    memmove(c->buf, line, c->end - c->start);
    c->end -= c->start;
    c->start = 0;
    if (c->end == c->cap || fill(c) <= 0) return NULL;
  }
}

int conn_skip(struct conn *c, long n) {
  for (;;) {
    int have = c->end - c->start;
    if (have >= n) { c->start += n; return 0; }
    n -= have;
    c->start = c->end = 0;
    if (fill(c) <= 0) return -1;
  }
}
