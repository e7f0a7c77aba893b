/** A plain reverse proxy as most people would write it: `node:http` to `node:http` with kept connections. One hop. */

import * as http from "node:http"
import type { AddressInfo } from "node:net"

const [host, port] = (process.argv[2] ?? "").split(":")
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 })
const server = http.createServer({ noDelay: true }, (incoming, outgoing) => {
  const { method, url: path, headers } = incoming
  const call = http.request({ host, port, method, path, headers, agent }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(outgoing)
  })
  call.on("error", () => outgoing.writeHead(502).end())
  incoming.pipe(call)
})
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`)
})
