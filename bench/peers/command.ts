/** Any other tunnel: a shell command that serves `{url}` and forwards to `{target}`. Its processes count as one. */

import type { System } from "../system.ts"
import { freePort, untilListening } from "../origin.ts"

export function commandPeer(name: string, command: string): System {
  return {
    name,
    side: "peer",
    carries: "bytes",
    note: command,
    async start(children, target) {
      const port = await freePort()
      const place = { host: "127.0.0.1", port }
      const filled = command
        .replaceAll("{url}", `http://${place.host}:${port}`)
        .replaceAll("{host}", place.host)
        .replaceAll("{port}", String(port))
        .replaceAll("{target}", `${target.host}:${target.port}`)
      const child = children.start(name, "sh", ["-c", `exec ${filled}`])
      await untilListening(
        place,
        () => child.running,
        () => child.output,
      )
      return {
        ...place,
        hostHeader: "localhost",
        processes: [{ role: "relay", pid: child.pid }],
        stop: () => child.stop(),
      }
    },
  }
}
