/** Plain TCP forwarders: two sockets and `pipe`, what a first try looks like. Arguments: `FROM:TO`, ports of loopback. */

import * as net from "node:net"

for (const [from, to] of process.argv.slice(2).map((route) => route.split(":").map(Number))) {
  const server = net.createServer((incoming) => {
    const outgoing = net.connect(to as number, "127.0.0.1")
    incoming.setNoDelay()
    outgoing.setNoDelay()
    incoming.pipe(outgoing)
    outgoing.pipe(incoming)
    incoming.on("error", () => outgoing.destroy())
    outgoing.on("error", () => incoming.destroy())
  })
  server.listen({ port: from, host: "127.0.0.1", backlog: 4096 })
}
