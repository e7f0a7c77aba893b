/**
 * Targets for a load balancer to play with: `node echo-targets.mjs PORT …`. Each of them echoes what it gets and goes on
 * after its client has ended. An HTTP request is answered with the target's port, so that curl shows who was chosen; one
 * for `/stop` makes it go away.
 */

import { createServer } from "node:net"

const ports = process.argv.slice(2).map(Number)
if (ports.length === 0) {
  console.error("usage: node echo-targets.mjs PORT …")
  process.exit(2)
}

for (const port of ports) {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy())
    socket.on("end", () => socket.end())
    socket.once("data", (first) => {
      const [, path] = /^GET (\S+) /.exec(first.toString("latin1")) ?? []
      if (path === undefined) {
        socket.write(first)
        socket.pipe(socket)
        return
      }
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\ntarget ${port}\n`)
      if (path === "/stop") server.close(() => console.log(`gone from 127.0.0.1:${port}`))
    })
  })
  server.listen(port, "127.0.0.1", () => console.log(`echoes on 127.0.0.1:${port}`))
}
