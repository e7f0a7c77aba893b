/** Opens keep-alive connections, asks each for one byte, then keeps them and says so. */

import * as net from "node:net"

const { host, port, hostHeader, path, count } = JSON.parse(process.argv[2] ?? "{}") as {
  readonly host: string
  readonly port: number
  readonly hostHeader: string
  readonly path: string
  readonly count: number
}
const atOnce = 50
const request = `GET ${path} HTTP/1.1\r\nHost: ${hostHeader}\r\n\r\n`
for (let opened = 0; opened < count; opened += atOnce) {
  await Promise.all(Array.from({ length: Math.min(atOnce, count - opened) }, visit))
}
process.stdout.write("ready\n")

function visit(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port }, () => socket.write(request))
    socket.once("data", (bytes: Buffer) => {
      if (bytes.toString("latin1", 0, 12) === "HTTP/1.1 200") resolve()
      else reject(new Error(`A visitor got ${bytes.toString("latin1").split("\r\n")[0]}`))
    })
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("A connection was closed")))
  })
}
