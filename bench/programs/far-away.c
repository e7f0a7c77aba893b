/*
 * An address that is some milliseconds away: far-away NAME MS. It makes the TUN device NAME, and whatever is sent there
 * comes back after MS with source and destination exchanged, which leaves all checksums right. With the addresses A and,
 * as its peer, B on the device, a connection to B:PORT is one to A:PORT of this machine, 2 * MS away there and back; and
 * not only its bytes are late, as behind a proxy that delays, but its handshake, too. Prints "ready"; needs root.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS = 4096, BYTES = 2048, ADDRESS = 4, SOURCE = 12, DESTINATION = 16 };

static struct {
  uint64_t due;
  ssize_t length;
  char bytes[BYTES];
} ring[PACKETS];

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + time.tv_nsec;
}

int main(int count, char **args) {
  struct ifreq device = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (count != 3) return 2;
  strncpy(device.ifr_name, args[1], IFNAMSIZ - 1);
  if (tun < 0 || ioctl(tun, TUNSETIFF, &device)) {
    perror("far-away");
    return 1;
  }
  uint64_t delay = atof(args[2]) * 1e6;
  unsigned first = 0, next = 0;
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    uint64_t time = now();
    while (first != next && ring[first % PACKETS].due <= time) {
      if (write(tun, ring[first % PACKETS].bytes, ring[first % PACKETS].length) < 0) perror("far-away");
      first++;
    }
    struct pollfd waiting = {.fd = tun, .events = POLLIN};
    struct timespec left = {0};
    uint64_t ns = first == next ? 1000000000u : ring[first % PACKETS].due - time;
    left.tv_sec = ns / 1000000000u;
    left.tv_nsec = ns % 1000000000u;
    if (ppoll(&waiting, 1, &left, 0) <= 0) continue;
    for (;;) {
      char spare[BYTES], *bytes = next - first < PACKETS ? ring[next % PACKETS].bytes : spare, source[ADDRESS];
      ssize_t length = read(tun, bytes, BYTES);
      if (length < 0) break;
      /* IPv4 alone; what finds no room is lost, as on any wire. */
      if (bytes == spare || length < 20 || bytes[0] >> 4 != 4) continue;
      memcpy(source, bytes + SOURCE, ADDRESS);
      memcpy(bytes + SOURCE, bytes + DESTINATION, ADDRESS);
      memcpy(bytes + DESTINATION, source, ADDRESS);
      ring[next % PACKETS].length = length;
      ring[next++ % PACKETS].due = now() + delay;
    }
  }
}
