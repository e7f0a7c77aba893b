/**
 * A cable to pull: passes TCP connections from one local port to another, and resets all of them again and again.
 * `node examples/cable.mjs 9000 8080 2` stands between port 9000 and port 8080 and cuts every 2 seconds.
 */

import { connect, createServer } from "node:net"

const [from, to, every] = process.argv.slice(2).map(Number)
if (!(from > 0) || !(to > 0)) {
  console.error("usage: node examples/cable.mjs FROM-PORT TO-PORT [CUT-EVERY-SECONDS]")
  process.exit(2)
}

const sockets = new Set()
const server = createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ host: "127.0.0.1", port: to, allowHalfOpen: true })
  for (const [socket, other] of [
    [near, far],
    [far, near],
  ]) {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on("error", () => other.destroy())
    socket.on("close", () => {
      sockets.delete(socket)
      other.destroy()
    })
    socket.pipe(other)
  }
})
server.on("error", (error) => {
  console.error(`port ${from} cannot be used: ${error.message}`)
  process.exit(1)
})
server.listen(from, "127.0.0.1", () => console.log(`listening on 127.0.0.1:${from}, leads to 127.0.0.1:${to}`))

function cut() {
  const count = sockets.size / 2
  for (const socket of sockets) socket.resetAndDestroy()
  if (count > 0) console.log(`cut ${count} connection${count === 1 ? "" : "s"}`)
}

if (every > 0) setInterval(cut, every * 1000)
