/**
 * The least that one hop can cost in Node: each read into the same memory, one write, back-pressure, and nothing else. Two of
 * them in a row are what a tunnel would be without streams, credit, checks and a log.
 */

import * as net from "node:net"

const bufferBytes = 262144
const nothing = Buffer.alloc(0)

const [host = "", port] = (process.argv[2] ?? "").split(":")
const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (incoming) => {
  // Two in turn: the kernel may still be reading from the last one.
  let buffer = Buffer.allocUnsafeSlow(bufferBytes)
  let other = Buffer.allocUnsafeSlow(bufferBytes)
  const onread = {
    buffer: () => buffer,
    callback(length: number) {
      incoming.write(buffer.subarray(0, length))
      ;[buffer, other] = [other, buffer]
      if (incoming.writableLength > 0) {
        outgoing.pause()
        incoming.write(nothing, () => outgoing.resume())
      }
      return true
    },
  }
  const outgoing = net.connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true, onread })
  incoming.pipe(outgoing)
  outgoing.on("end", () => incoming.end())
  incoming.on("error", () => outgoing.destroy())
  outgoing.on("error", () => incoming.destroy())
})
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`port ${(server.address() as net.AddressInfo).port}\n`)
})
