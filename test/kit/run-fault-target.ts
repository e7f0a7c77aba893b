/**
 * A target that behaves as it is told, as a process of its own: `node run-fault-target.ts '{"behaviour":"echo"}'`. It prints
 * one JSON line with its port and leaves when its standard input ends, so that none outlives the test that started it.
 */

import { createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { isSent } from "../../src/sockets/send-queue.ts"

export interface FaultTargetSettings {
  /**
   * `echo`: everything comes back, half-close too. `silent`: takes bytes and never answers. `slow`: as echo, each piece late.
   * `reset`: resets at once. `answer-reset`: answers the first bytes with so many, then resets. `flood`: so many bytes to
   * everybody, then FIN.
   */
  readonly behaviour: "echo" | "silent" | "slow" | "reset" | "answer-reset" | "flood"
  readonly host?: string
  readonly port?: number
  /** A line that everybody gets first, so that they know whom they have. */
  readonly name?: string
  readonly delayMs?: number
  readonly bytes?: number
  readonly backlog?: number
}

if (import.meta.main) {
  const settings = JSON.parse(process.argv[2] as string) as FaultTargetSettings
  const { host = "127.0.0.1", port = 0, backlog = 511 } = settings
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    // Whoever resets it has gone; there is nobody to tell.
    socket.on("error", () => undefined)
    if (settings.name !== undefined) socket.write(`${settings.name}\n`)
    behave(socket, settings)
  })
  server.listen({ host, port, backlog }, () => {
    process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`)
  })
  process.stdin.resume().on("end", () => process.exit(0))
}

function behave(socket: Socket, { behaviour, delayMs = 0, bytes = 0 }: FaultTargetSettings): void {
  switch (behaviour) {
    case "echo":
      socket.pipe(socket)
      return
    case "silent":
      socket.resume()
      return
    case "slow":
      socket.on("data", (piece) => setTimeout(() => socket.write(piece), delayMs))
      socket.on("end", () => setTimeout(() => socket.end(), delayMs))
      return
    case "reset":
      socket.resetAndDestroy()
      return
    case "answer-reset":
      socket.once("data", () => socket.write(Buffer.alloc(bytes, "x"), () => resetBehind(socket)))
      return
    case "flood":
      socket.resume()
      socket.end(Buffer.alloc(bytes, "x"))
  }
}

/** A reset throws away what the kernel has not sent yet. */
function resetBehind(socket: Socket): void {
  isSent(socket, (sent) => {
    if (sent) socket.resetAndDestroy()
    else setTimeout(() => resetBehind(socket), 10)
  })
}
