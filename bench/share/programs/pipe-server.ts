/** A file to whoever connects, as one writes it in a minute: `pipe-server.ts FILE`. */

import { createReadStream } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"

const server = createServer((socket) => {
  socket.on("error", () => undefined)
  createReadStream(process.argv[2] as string).pipe(socket)
})
server.listen(0, "127.0.0.1", 1024, () => {
  process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`)
})
