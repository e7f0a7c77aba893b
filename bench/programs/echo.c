/* An echo server at the speed of the kernel, for load testers to be measured against. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
  static char buffer[65536];
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
  if (bind(listener, (void *)&address, length) || listen(listener, 1024)) return 1;
  getsockname(listener, (void *)&address, &length);
  printf("port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int ready = epoll_wait(poll, events, 256, -1);
    for (int at = 0; at < ready; at++) {
      int socket = events[at].data.fd;
      if (socket == listener) {
        event.data.fd = accept(listener, 0, 0);
        if (event.data.fd < 0) continue;
        setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
        continue;
      }
      ssize_t got = read(socket, buffer, sizeof buffer), sent = 0;
      while (got > sent) {
        ssize_t more = write(socket, buffer + sent, got - sent);
        if (more <= 0) break;
        sent += more;
      }
      if (got <= 0) close(socket);
    }
  }
}
