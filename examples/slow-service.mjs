/**
 * Services with known faults, to try load tests on: `node slow-service.mjs WEB-PORT [ECHO-PORT]`.
 *
 *     http://localhost:WEB-PORT/       answers at once, but stands still for half a second of every two
 *     http://localhost:WEB-PORT/desk   serves one request after the other, 5 ms each: more than 200/s have to wait
 *     tcp://localhost:ECHO-PORT        echoes
 */

import { createServer as createWeb } from "node:http"
import { createServer as createEcho } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

const [webPort, echoPort] = process.argv.slice(2).map(Number)
if (webPort === undefined) {
  console.error("usage: node slow-service.mjs WEB-PORT [ECHO-PORT]")
  process.exit(2)
}

const answer = (response) => response.end("ok\n")
const waiting = []
let still = false
setInterval(async () => {
  still = true
  await sleep(500)
  still = false
  waiting.splice(0).forEach(answer)
}, 2000)

let deskFreeAt = 0
function atDesk(response) {
  const now = performance.now()
  deskFreeAt = Math.max(now, deskFreeAt) + 5
  setTimeout(() => answer(response), deskFreeAt - now)
}

createWeb((request, response) => {
  if (request.url === "/desk") atDesk(response)
  else if (still) waiting.push(response)
  else answer(response)
}).listen(webPort, "127.0.0.1")

if (echoPort !== undefined) {
  createEcho((socket) => {
    socket.on("error", () => socket.destroy())
    socket.pipe(socket)
  }).listen(echoPort, "127.0.0.1")
}
