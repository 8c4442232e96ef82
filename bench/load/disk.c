/* What the disk takes: batches of 20 messages of 4 kB appended to a preallocated file, one fdatasync each. */
#include "mailbench.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 20, MESSAGE = 4096, FILE_SIZE = 64 * 1024 * 1024 };

int disk(void) {
  char path[600], *octets = calloc(BATCH, MESSAGE);
  long batches = 0;
  snprintf(path, sizeof path, "%s/mailbench.disk", opt.dir);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) { perror(path); return 2; }
  for (long at = 0; at < FILE_SIZE; at += BATCH * MESSAGE) /* zero-filled, as a blob segment is */
    if (pwrite(fd, octets, BATCH * MESSAGE, at) < 0) { perror(path); return 2; }
  fsync(fd);
  double begin = now(), end = begin + opt.secs;
  for (; now() < end; batches++) {
    memset(octets, (int)batches, BATCH * MESSAGE);
    long at = batches * BATCH * MESSAGE % (FILE_SIZE - BATCH * MESSAGE);
    if (pwrite(fd, octets, BATCH * MESSAGE, at) < 0 || fdatasync(fd)) { perror(path); return 2; }
  }
  double seconds = now() - begin;
  close(fd);
  unlink(path);
  printf("per_s=%.0f batch_ms=%.3f failed=0\n", batches * BATCH / seconds, seconds / batches * 1e3);
  return 0;
}
