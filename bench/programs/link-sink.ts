/**
 * The far end of a link or a session in a process of its own: `link-sink.ts KIND FOLDER link|session checked|unchecked`.
 * The folder holds the socket or the certificate where the kind needs one.
 */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Link, LinkSink } from "../../src/mux/link.ts"
import { acknowledgeEvery, listenOn, takeSession } from "../link-ends.ts"

const [kind = "tcp", folder = "", layer = "link", checked = "unchecked"] = process.argv.slice(2)
const read = (name: string): string => readFileSync(join(folder, name), "utf8")
const secrets = kind === "tls" ? { cert: read("cert"), key: read("key") } : undefined
const address = await listenOn(kind, folder, secrets, (link) => {
  if (layer === "link") sinkLink(link)
  else takeSession(link, checked === "checked")
})
process.stdout.write(`at ${address}\n`)

/** Says one byte for each `acknowledgeEvery` received, so that the sender knows when everything has arrived. */
function sinkLink(link: Link): void {
  let bytes = 0
  const sink: LinkSink = {
    data(chunk) {
      const before = Math.floor(bytes / acknowledgeEvery)
      bytes += chunk.length
      const more = Math.floor(bytes / acknowledgeEvery) - before
      if (more > 0) link.send([new Uint8Array(more)])
      return false
    },
    drain: () => undefined,
    closed: () => undefined,
  }
  link.attach(sink)
  link.resume()
}
