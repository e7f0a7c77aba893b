/** A plain TCP forwarder: two sockets and `pipe`. One hop. */

import * as net from "node:net"

const [host = "", port] = (process.argv[2] ?? "").split(":")
const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (incoming) => {
  const outgoing = net.connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true })
  incoming.pipe(outgoing)
  outgoing.pipe(incoming)
  incoming.on("error", () => outgoing.destroy())
  outgoing.on("error", () => incoming.destroy())
})
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`port ${(server.address() as net.AddressInfo).port}\n`)
})
