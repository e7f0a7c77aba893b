/** The least that a broker can be: brings a producer and a consumer of one name together and passes bytes on. */

import * as net from "node:net"

const readBytes = 65_536
const [listen = "0"] = process.argv.slice(2)
const waiting = new Map<string, net.Socket>()

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy())
  socket.once("data", (bytes: Buffer) => {
    const [role = "", name = "", index = ""] = bytes.toString("latin1").trim().split(" ")
    const key = `${name} ${index}`
    if (role === "c") {
      waiting.set(key, socket)
      socket.write("!")
      return
    }
    const consumer = waiting.get(key)
    if (consumer === undefined) {
      socket.destroy()
      return
    }
    waiting.delete(key)
    couple(socket, consumer)
    couple(consumer, socket)
    socket.write("!")
  })
})

function couple(from: net.Socket, to: net.Socket): void {
  from.on("data", (bytes: Buffer) => {
    if (!to.write(bytes) && to.writableLength > readBytes) {
      from.pause()
      to.once("drain", () => from.resume())
    }
  })
  from.on("close", () => to.destroy())
}

const isPort = /^\d+$/.test(listen)
server.listen(isPort ? { host: "127.0.0.1", port: Number(listen) } : { path: listen }, () => {
  process.stdout.write("listening\n")
})
