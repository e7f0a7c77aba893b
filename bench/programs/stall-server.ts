/** Answers at once, but stands still for the last of every three seconds: the trap for testers that wait. */

import * as http from "node:http"
import type { AddressInfo } from "node:net"

const startMs = performance.now()
const waiting: (() => void)[] = []
const server = http.createServer((_request, response) => {
  const phaseMs = (performance.now() - startMs) % 3000
  const answer = () => response.end("ok")
  if (phaseMs < 2000) answer()
  else {
    if (waiting.length === 0) {
      setTimeout(() => {
        for (const each of waiting.splice(0)) each()
      }, 3000 - phaseMs)
    }
    waiting.push(answer)
  }
})
server.keepAliveTimeout = 60_000
server.listen(0, "127.0.0.1", () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`))
