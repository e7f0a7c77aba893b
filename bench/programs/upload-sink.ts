/** Reads request bodies and answers when the last byte is there. With the argument `slow` it reads 1 KiB a second. */

import * as net from "node:net"
import { adoptSocket, SocketReader, tryAdoption } from "../../src/sockets/socket-reader.ts"

const slow = process.argv[2] === "slow"
const slowBytesPerSecond = 1024
const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

await tryAdoption()
const server = net.createServer({ pauseOnConnect: true, noDelay: true }, (accepted) => {
  const reader = new SocketReader()
  const adopted = slow ? undefined : adoptSocket(accepted, reader)
  const socket = adopted ?? accepted
  if (adopted === undefined) socket.on("data", (bytes) => void reader.receive(bytes))
  let text = ""
  /** Of the body under way; below 0 a head is awaited. */
  let left = -1
  const take = (bytes: Uint8Array): void => {
    let length = bytes.length
    if (left < 0) {
      text += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
      const end = text.indexOf("\r\n\r\n")
      if (end < 0) return
      const match = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))
      if (match === null) {
        socket.end("HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
      }
      left = Number(match[1])
      length = text.length - end - 4
      text = ""
    }
    left -= length
    if (left <= 0) {
      left = -1
      socket.write(answer)
    }
  }
  reader.receive = (bytes) => {
    take(bytes)
    if (slow) {
      socket.pause()
      setTimeout(() => socket.resume(), (bytes.length / slowBytesPerSecond) * 1000).unref()
    }
    return false
  }
  socket.on("error", () => socket.destroy())
  socket.on("end", () => socket.end())
  socket.resume()
})
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`port ${(server.address() as net.AddressInfo).port}\n`)
})
