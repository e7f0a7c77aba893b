/** What a few lines of Node do: a file piped to each, one process with all clients, SHA-256, to disk. */

import { join } from "node:path"
import type { Child } from "../children.ts"
import { Gauge } from "./gauge.ts"
import type { ShareSystem } from "./system.ts"

const program = (name: string): string => join(import.meta.dirname, "programs", name)

export const nodePipe: ShareSystem = {
  name: "node pipe",
  note: "`createReadStream(file).pipe(socket)` for each client; one process with all clients, SHA-256",
  missing: () => undefined,
  async run(children, { clients, file, folder }) {
    const server = children.node("pipe server", [program("pipe-server.ts"), file])
    const [, port = ""] = await server.until(/port (\d+)/)
    let receivers: Child | undefined
    const gauge = new Gauge(() => ({ servers: [server.pid], clients: receivers === undefined ? [] : [receivers.pid] }))
    try {
      receivers = children.node("pipe clients", [program("pipe-clients.ts"), port, String(clients), folder])
      const [, sums = ""] = await receivers.until(/all through (.*)\n/, 180_000)
      if (sums.includes(" ")) throw new Error("Not all clients have the same")
      return { taken: gauge.end(), outputs: [join(folder, "f0"), join(folder, `f${clients - 1}`)] }
    } finally {
      gauge.stop()
      await receivers?.stop()
      await server.stop()
    }
  },
}
