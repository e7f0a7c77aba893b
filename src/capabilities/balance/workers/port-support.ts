/** Whether this system lets several listeners share a port, and spreads connections over them. */

import { createServer } from "node:net"
import type { Server } from "node:net"

/**
 * Where Node says that it works. Elsewhere asking for it may be an error or, on old kernels, be believed and do nothing: so
 * it is tried as well (https://nodejs.org/api/net.html#serverlistenoptions-callback).
 */
const platforms: readonly NodeJS.Platform[] = ["linux", "freebsd", "sunos", "aix"]

/** Undefined when it does; else why not, for people. Never rejects. */
export async function whyNoSharedPorts(platform: NodeJS.Platform = process.platform): Promise<string | undefined> {
  if (!platforms.includes(platform)) return `${platform} does not share ports between event loops`
  const servers: Server[] = []
  try {
    const port = await listen(servers, 0)
    await listen(servers, port)
    return undefined
  } catch (error) {
    return `this system does not share ports between event loops (${(error as NodeJS.ErrnoException).code ?? "refused"})`
  } finally {
    for (const server of servers) server.close()
  }
}

function listen(servers: Server[], port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    servers.push(server)
    server.on("error", reject)
    server.listen({ host: "127.0.0.1", port, reusePort: true }, () => {
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  })
}
