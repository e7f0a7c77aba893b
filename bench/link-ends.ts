/** Both ends of what `link` measures: transports by name, and sessions put on them without a handshake. */

import { join } from "node:path"
import { silentLog } from "../src/base/log.ts"
import type { Stream } from "../src/base/stream.ts"
import { emptyBytes } from "../src/base/bytes.ts"
import { defaultLimits } from "../src/mux/limits.ts"
import type { Link } from "../src/mux/link.ts"
import { Session } from "../src/mux/session.ts"
import type { SessionStream } from "../src/mux/session-stream.ts"
import { nodeRuntime } from "../src/runtime.ts"
import { printAddress } from "../src/transport/address.ts"
import { listenTcp } from "../src/transport/tcp.ts"
import { listenTls } from "../src/transport/tls.ts"
import { listenUnix } from "../src/transport/unix.ts"

export const transports: readonly string[] = ["memory", "tcp", "unix", "tls"]

/** After so many bytes the far end of a bare link says one byte. */
export const acknowledgeEvery: number = 2 ** 20

/** Answers with the address to dial. */
export async function listenOn(
  kind: string,
  folder: string,
  secrets: { readonly cert: string; readonly key: string } | undefined,
  onLink: (link: Link) => void,
): Promise<string> {
  const here = { host: "127.0.0.1", port: 0 }
  if (kind === "tcp") return printAddress((await listenTcp(here, onLink)).address)
  if (kind === "unix") return printAddress((await listenUnix({ path: join(folder, "sink.sock") }, onLink)).address)
  if (kind === "tls" && secrets !== undefined)
    return printAddress((await listenTls({ ...here, ...secrets }, onLink)).address)
  throw new Error(`There is no "${kind}" to listen on`)
}

export function sessionOn(
  link: Link,
  role: "dialer" | "acceptor",
  checked: boolean,
  onStream: (stream: SessionStream) => void,
): Session {
  const session = new Session({
    id: "bench",
    role,
    limits: defaultLimits,
    peer: { windowBytes: defaultLimits.windowBytes, streams: defaultLimits.streams },
    runtime: nodeRuntime(silentLog),
    onStream,
    onClosed: () => link.close(),
  })
  session.attachLink(link, 0, checked, emptyBytes)
  return session
}

/** The far end of a session: `sink` counts and answers at the end, `echo` sends back. */
export function takeSession(link: Link, checked: boolean): void {
  sessionOn(link, "acceptor", checked, serve)
}

function serve(stream: Stream): void {
  const echo = stream.service === "echo"
  stream.attach({
    data(chunk) {
      // What is echoed is sent by reference, so it is copied: the chunk is ours only until it is consumed.
      if (echo) stream.write(chunk.slice())
      stream.consumed(chunk.length)
    },
    meta: () => undefined,
    end: () => stream.end(),
    drain: () => undefined,
    closed: () => undefined,
  })
}
