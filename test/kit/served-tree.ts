/** A 9P tree, served to a client in the same process. */

import { silentLog } from "../../src/base/log.ts"
import type { ByteLink } from "../../src/ninep/byte-link.ts"
import { NinepClient } from "../../src/ninep/client.ts"
import type { ConnectOptions } from "../../src/ninep/client.ts"
import { NinepConnection } from "../../src/ninep/connection.ts"
import type { NinepLimits } from "../../src/ninep/limits.ts"
import type { Tree } from "../../src/ninep/tree.ts"
import { bytePair } from "./byte-links.ts"

export interface ServedTree {
  readonly client: NinepClient
  readonly server: NinepConnection
  /** The server takes the connection for lost. */
  lose(): void
}

export function serveOver(link: ByteLink, tree: Tree, limits: Partial<NinepLimits> = {}): NinepConnection {
  const server = new NinepConnection({ tree, log: silentLog, output: { write: (bytes) => link.write(bytes) }, limits })
  link.onData = (bytes) => server.receive(bytes)
  link.onDrain = () => server.drained()
  link.onClose = () => server.closed()
  server.onEnd = () => link.close()
  return server
}

export async function serveTree(
  tree: Tree,
  options: Partial<ConnectOptions> & { readonly limits?: Partial<NinepLimits> } = {},
): Promise<ServedTree> {
  const pair = bytePair()
  const server = serveOver(pair.b, tree, options.limits)
  const client = await NinepClient.connect({ link: pair.a, ...options })
  return { client, server, lose: () => pair.cut() }
}
