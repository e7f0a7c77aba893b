/*
 * A client and a target for measuring TCP proxies: it must cost less than what it measures, so it is one thread on
 * epoll, discards what it receives without copying it (MSG_TRUNC) and keeps latencies in a histogram of fixed size.
 *
 * Targets: tcp-bench target MODE[:PORT][@ADDRESS]...   prints one line "MODE PORT" each; MODE is
 *   echo    sends back what it gets           once    sends back the first message, then closes (the target closes
 *   source  sends as fast as it is read               first, so that TIME_WAIT stays here and the client keeps its ports)
 *   sink    reads as fast as it can           pause   accepts, says nothing, reads nothing
 *
 * Clients print one line of JSON; times in microseconds unless their name says seconds:
 *   tcp-bench pp HOST PORT CONNECTIONS BYTES SECONDS [cpu=PID,PID]    ping-pong, one message under way per connection
 *   tcp-bench cps HOST PORT CONCURRENCY COUNT [cpu=PID,PID]           connect, 64 bytes, echo, end from the other side
 *   tcp-bench bulk down|up HOST PORT CONNECTIONS SECONDS [cpu=…]      bytes per second
 *   tcp-bench fair down|up HOST PORT GREEDY LIGHT SECONDS             one client with GREEDY connections (127.0.1.1) and
 *                                                                     LIGHT clients with one each (127.0.1.2 and up)
 *   tcp-bench idle HOST PORT COUNT                                    one message each, then holds them until SIGTERM;
 *                                                                     says how many are still open then
 * cpu= adds what these processes used (user and system) in the measured window. HOST is an IPv4 address. The first half
 * second of pp, bulk and fair is not counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 256 << 10, EVENTS = 256, SUB = 128, WARM_UP_NS = 500000000, MOST_BYTES = 64 << 10 };

typedef struct {
  int fd, role, client;
  size_t got;
  uint64_t since;
} Link;

static char piece[PIECE];
static const char *cpu_of = "";

static void fail(const char *what) {
  fprintf(stderr, "tcp-bench: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + time.tv_nsec;
}

/* User and system time so far of all processes named by cpu=, in seconds; what has ended counts as nothing. */
static double cpu_seconds(void) {
  double ticks = 0;
  for (const char *at = cpu_of; *at; at += strcspn(at, ","), at += *at == ',') {
    char path[64], text[1024], *fields;
    snprintf(path, sizeof path, "/proc/%d/stat", atoi(at));
    FILE *file = fopen(path, "r");
    if (!file) continue;
    unsigned long user = 0, kernel = 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = 0;
    /* The name may hold anything, spaces and brackets too: the fields begin after the last bracket. */
    if ((fields = strrchr(text, ')'))) sscanf(fields + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
    ticks += user + kernel;
    fclose(file);
  }
  return ticks / sysconf(_SC_CLK_TCK);
}

/* ---- histogram of nanoseconds: 64 steps per doubling, so at most 0.8 % off ---- */

static uint32_t counts[64 * SUB];
static uint64_t total, highest;

static void record(uint64_t ns) {
  int power = ns < SUB ? 0 : 63 - __builtin_clzll(ns) - 6;
  counts[power * SUB + (ns >> power)]++;
  total++;
  if (ns > highest) highest = ns;
}

static double percentile(double share) {
  uint64_t want = total * share, seen = 0;
  for (int at = 0; at < 64 * SUB; at++)
    if ((seen += counts[at]) > want) {
      int power = at / SUB;
      /* A step of power p holds values whose upper half of the mantissa is set, except in the first. */
      return ((at % SUB + 0.5) * (double)(1ull << power)) / 1000;
    }
  return highest / 1000.0;
}

static void print_latencies(void) {
  printf("\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f", percentile(0.5), percentile(0.99), percentile(0.999),
         highest / 1000.0);
}

/* ---- sockets ---- */

static void set_flags(int fd, int blocking) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, blocking ? 0 : O_NONBLOCK);
}

static struct sockaddr_in address_of(const char *host, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) errno = EINVAL, fail(host);
  return address;
}

static int dial(struct sockaddr_in *to, const char *from) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) fail("socket");
  if (from) {
    struct sockaddr_in address = address_of(from, 0);
    int on = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (void *)&address, sizeof address)) fail(from);
  }
  if (connect(fd, (void *)to, sizeof *to)) fail("connect");
  set_flags(fd, 0);
  return fd;
}

static void watch(int poll, Link *link, uint32_t events, int action) {
  struct epoll_event event = {.events = events, .data.ptr = link};
  if (epoll_ctl(poll, action, link->fd, &event)) fail("epoll_ctl");
}

static Link *links_for(int count) {
  Link *links = calloc(count, sizeof *links);
  if (!links) fail("memory");
  return links;
}

/* ---- clients ---- */

static void ping_pong(struct sockaddr_in to, int connections, size_t bytes, double seconds) {
  int poll = epoll_create1(0);
  if (bytes == 0 || bytes > MOST_BYTES) errno = EINVAL, fail("bytes per message");
  Link *links = links_for(connections);
  for (int at = 0; at < connections; at++) {
    links[at].fd = dial(&to, 0);
    watch(poll, &links[at], EPOLLIN, EPOLL_CTL_ADD);
  }
  for (int at = 0; at < connections; at++) {
    links[at].since = now();
    if (send(links[at].fd, piece, bytes, 0) != (ssize_t)bytes) fail("send");
  }
  uint64_t from = now() + WARM_UP_NS, until = from + (uint64_t)(seconds * 1e9), time = 0, begun = 0;
  double cpu = 0;
  while ((time = now()) < until) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(poll, events, EVENTS, 100);
    if (!begun && now() >= from) begun = now(), cpu = cpu_seconds();
    for (int at = 0; at < ready; at++) {
      Link *link = events[at].data.ptr;
      ssize_t got = recv(link->fd, piece, bytes - link->got, MSG_TRUNC);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) errno = got ? errno : ECONNRESET, fail("connection lost");
      if ((link->got += got) < bytes) continue;
      time = now();
      if (begun) record(time - link->since);
      link->got = 0;
      link->since = time;
      if (send(link->fd, piece, bytes, 0) != (ssize_t)bytes) fail("send");
    }
  }
  cpu = cpu_seconds() - cpu;
  double took = (now() - begun) / 1e9;
  printf("{\"messages\":%lu,\"seconds\":%.3f,\"perSecond\":%.1f,\"cpuSeconds\":%.3f,", total, took, total / took, cpu);
  print_latencies();
  printf("}\n");
}

static void open_next(int poll, Link *link, struct sockaddr_in *to) {
  link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (link->fd < 0) fail("socket");
  int on = 1;
  setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  link->got = 0;
  link->role = 0;
  link->since = now();
  if (connect(link->fd, (void *)to, sizeof *to) && errno != EINPROGRESS) fail("connect");
  watch(poll, link, EPOLLOUT, EPOLL_CTL_ADD);
}

static void churn(struct sockaddr_in to, int concurrency, int count) {
  enum { BYTES = 64 };
  int poll = epoll_create1(0), begun = 0, ended = 0, failures = 0, reason = 0;
  Link *links = links_for(concurrency);
  double cpu = cpu_seconds();
  uint64_t from = now(), last = from;
  for (; begun < concurrency && begun < count; begun++) open_next(poll, &links[begun], &to);
  while (ended < count) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(poll, events, EVENTS, 1000);
    if (ready > 0) last = now();
    if (now() - last > 10000000000ull) errno = ETIMEDOUT, fail("nothing happened for 10 seconds");
    for (int at = 0; at < ready; at++) {
      Link *link = events[at].data.ptr;
      int over = 0;
      if (link->role == 0) {
        over = send(link->fd, piece, BYTES, 0) == BYTES ? 0 : -1;
        link->role = 1;
        if (!over) watch(poll, link, EPOLLIN, EPOLL_CTL_MOD);
      } else {
        ssize_t got = recv(link->fd, piece, PIECE, MSG_TRUNC);
        if (got > 0) link->got += got;
        else if (got == 0) over = link->got == BYTES ? 1 : -1;
        else if (errno != EAGAIN) over = -1;
      }
      if (!over) continue;
      if (over < 0) failures++, reason = errno;
      else record(now() - link->since);
      close(link->fd);
      ended++;
      if (begun < count) begun++, open_next(poll, link, &to);
    }
  }
  double took = (now() - from) / 1e9;
  cpu = cpu_seconds() - cpu;
  printf("{\"connections\":%d,\"failures\":%d,\"seconds\":%.3f,\"perSecond\":%.1f,\"cpuSeconds\":%.3f,", count, failures, took,
         (count - failures) / took, cpu);
  if (failures) printf("\"lastFailure\":\"%s\",", strerror(reason));
  print_latencies();
  printf("}\n");
}

/* Moves bytes on all links in one direction; what each client moved after the warm-up is added to `moved`. */
static double move(int poll, int up, double seconds, double *cpu, uint64_t *moved) {
  uint64_t from = now() + WARM_UP_NS, until = from + (uint64_t)(seconds * 1e9), begun = 0;
  while (now() < until) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(poll, events, EVENTS, 100);
    if (!begun && now() >= from) begun = now(), *cpu = cpu_seconds();
    for (int at = 0; at < ready; at++) {
      Link *link = events[at].data.ptr;
      ssize_t bytes = up ? send(link->fd, piece, PIECE, 0) : recv(link->fd, piece, 4 * PIECE, MSG_TRUNC);
      if (bytes < 0 && errno == EAGAIN) continue;
      if (bytes <= 0) errno = bytes ? errno : ECONNRESET, fail("connection lost");
      if (begun) moved[link->client] += bytes;
    }
  }
  *cpu = cpu_seconds() - *cpu;
  return (now() - begun) / 1e9;
}

static void bulk(int up, struct sockaddr_in to, int connections, double seconds) {
  int poll = epoll_create1(0);
  Link *links = links_for(connections);
  for (int at = 0; at < connections; at++) {
    links[at].fd = dial(&to, 0);
    watch(poll, &links[at], up ? EPOLLOUT : EPOLLIN, EPOLL_CTL_ADD);
  }
  double cpu = 0;
  uint64_t bytes = 0;
  double took = move(poll, up, seconds, &cpu, &bytes);
  printf("{\"bytes\":%lu,\"seconds\":%.3f,\"perSecond\":%.0f,\"cpuSeconds\":%.3f}\n", bytes, took, bytes / took, cpu);
}

static void fairness(int up, struct sockaddr_in to, int greedy, int light, double seconds) {
  int poll = epoll_create1(0);
  if (light > 250) errno = EINVAL, fail("light clients");
  Link *links = links_for(greedy + light);
  uint64_t moved[256] = {0};
  for (int at = 0; at < greedy + light; at++) {
    char from[32];
    links[at].client = at < greedy ? 0 : at - greedy + 1;
    snprintf(from, sizeof from, "127.0.1.%d", links[at].client + 1);
    links[at].fd = dial(&to, from);
    watch(poll, &links[at], up ? EPOLLOUT : EPOLLIN, EPOLL_CTL_ADD);
  }
  double cpu = 0;
  double took = move(poll, up, seconds, &cpu, moved);
  printf("{\"seconds\":%.3f,\"greedy\":%.0f,\"light\":[", took, moved[0] / took);
  for (int at = 1; at <= light; at++) printf("%s%.0f", at > 1 ? "," : "", moved[at] / took);
  printf("]}\n");
}

static volatile sig_atomic_t stopped;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static void idle(struct sockaddr_in to, int count) {
  enum { BYTES = 64 };
  Link *links = links_for(count);
  uint64_t from = now();
  for (int at = 0; at < count; at++) {
    links[at].fd = dial(&to, 0);
    set_flags(links[at].fd, 1);
    if (send(links[at].fd, piece, BYTES, 0) != BYTES) fail("send");
    if (recv(links[at].fd, piece, BYTES, MSG_WAITALL) != BYTES) fail("echo");
  }
  printf("{\"open\":%d,\"seconds\":%.3f}\n", count, (now() - from) / 1e9);
  fflush(stdout);
  signal(SIGTERM, stop);
  while (!stopped) usleep(50000);
  int open = 0;
  for (int at = 0; at < count; at++)
    open += recv(links[at].fd, piece, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
  printf("{\"open\":%d}\n", open);
}

/* ---- targets ---- */

static const char *const modes[] = {"echo", "once", "source", "sink", "pause", 0};
enum { ECHO, ONCE, SOURCE, SINK, PAUSE, LISTENER };

static void serve(int poll, Link *link) {
  ssize_t bytes = 0, sent = 0;
  switch (link->role) {
    case SOURCE:
      bytes = send(link->fd, piece, PIECE, 0);
      break;
    case SINK:
      bytes = recv(link->fd, piece, 4 * PIECE, MSG_TRUNC);
      break;
    case PAUSE: /* Woken by an error or by both ends being shut: nothing else is asked for. */
      break;
    default:
      bytes = recv(link->fd, piece, sizeof piece, 0);
      while (bytes > sent) {
        ssize_t more = send(link->fd, piece + sent, bytes - sent, 0);
        if (more <= 0) break;
        sent += more;
      }
      if (link->role == ONCE && bytes > 0) bytes = 0;
  }
  if (bytes > 0 || (bytes < 0 && errno == EAGAIN)) return;
  epoll_ctl(poll, EPOLL_CTL_DEL, link->fd, 0);
  close(link->fd);
  free(link);
}

static void accept_all(int poll, Link *listener) {
  for (;;) {
    int fd = accept4(listener->fd, 0, 0, 0);
    if (fd < 0) return;
    Link *link = links_for(1);
    link->fd = fd;
    link->role = listener->client;
    /* An echo writes with a blocking socket: it serves small messages, and must not lose part of one. */
    set_flags(fd, link->role == ECHO || link->role == ONCE);
    watch(poll, link, link->role == SOURCE ? EPOLLOUT : link->role == PAUSE ? 0 : EPOLLIN, EPOLL_CTL_ADD);
  }
}

static void target(int count, char **names) {
  int poll = epoll_create1(0), on = 1;
  for (int at = 0; at < count; at++) {
    Link *listener = links_for(1);
    char *host = strchr(names[at], '@'), *port = strchr(names[at], ':');
    if (host) *host++ = 0;
    if (port) *port++ = 0;
    struct sockaddr_in address = address_of(host ? host : "127.0.0.1", port ? atoi(port) : 0);
    socklen_t length = sizeof address;
    while (modes[listener->client] && strcmp(modes[listener->client], names[at])) listener->client++;
    if (!modes[listener->client]) errno = EINVAL, fail(names[at]);
    listener->role = LISTENER;
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener->fd, (void *)&address, length) || listen(listener->fd, 4096)) fail("listen");
    getsockname(listener->fd, (void *)&address, &length);
    printf("%s %d\n", names[at], ntohs(address.sin_port));
    watch(poll, listener, EPOLLIN, EPOLL_CTL_ADD);
  }
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(poll, events, EVENTS, -1);
    for (int at = 0; at < ready; at++) {
      Link *link = events[at].data.ptr;
      if (link->role == LISTENER) accept_all(poll, link);
      else serve(poll, link);
    }
  }
}

static int usage(void) {
  fprintf(stderr, "usage: tcp-bench target MODE[:PORT][@ADDRESS]... | pp HOST PORT CONNECTIONS BYTES SECONDS\n"
                  "     | cps HOST PORT CONCURRENCY COUNT | bulk down|up HOST PORT CONNECTIONS SECONDS\n"
                  "     | fair down|up HOST PORT GREEDY LIGHT SECONDS | idle HOST PORT COUNT   [cpu=PID,PID]\n");
  return 2;
}

int main(int count, char **args) {
  struct rlimit files;
  signal(SIGPIPE, SIG_IGN);
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (count > 2 && !strncmp(args[count - 1], "cpu=", 4)) cpu_of = args[--count] + 4;
  if (count < 3) return usage();
  char *mode = args[1];
  if (!strcmp(mode, "target")) target(count - 2, args + 2);
  int directed = !strcmp(mode, "bulk") || !strcmp(mode, "fair"), up = directed && !strcmp(args[2], "up");
  char **rest = args + 2 + directed;
  int given = count - 2 - directed;
  if (given < 3) return usage();
  struct sockaddr_in to = address_of(rest[0], atoi(rest[1]));
  if (!strcmp(mode, "pp") && given == 5) ping_pong(to, atoi(rest[2]), atoi(rest[3]), atof(rest[4]));
  else if (!strcmp(mode, "cps") && given == 4) churn(to, atoi(rest[2]), atoi(rest[3]));
  else if (!strcmp(mode, "bulk") && given == 4) bulk(up, to, atoi(rest[2]), atof(rest[3]));
  else if (!strcmp(mode, "fair") && given == 5) fairness(up, to, atoi(rest[2]), atoi(rest[3]), atof(rest[4]));
  else if (!strcmp(mode, "idle") && given == 3) idle(to, atoi(rest[2]));
  else return usage();
  return 0;
}
