/** A server's public side: what a host at a relay offers in its name. Each exchange of a visitor or a peer is one stream. */

import type { Stream } from "../../../base/stream.ts"
import type { AcceptOptions, Host } from "../../../host/host.ts"
import { serveExchange } from "./exchange.ts"
import type { TabServer } from "./tab-server.ts"

export interface PublicSideOptions extends Pick<AcceptOptions, "onExposed" | "onDelayed" | "onRefused"> {
  readonly server: TabServer
  readonly name: string
  /** Fences off earlier servers of the same database. */
  readonly epoch: number
  readonly peers: { serve(stream: Stream, server: TabServer): void }
}

/** Ends with the host. */
export function offerServer(host: Host, { server, name, epoch, peers, ...heard }: PublicSideOptions): void {
  host.accept("tab/peer", ({ stream }) => peers.serve(stream, server))
  host.accept(
    "http/tab",
    ({ stream, header }) => {
      const { from } = header
      serveExchange(stream, server, { kind: "public", address: typeof from === "string" ? from : "" })
    },
    { expose: { kind: "http", name, epoch }, ...heard },
  )
}
