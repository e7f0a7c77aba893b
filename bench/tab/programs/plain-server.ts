/** The ceiling: Node's own server and its own SQLite, without a relay, without a session, a commit for each row. */

import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { DatabaseSync } from "node:sqlite"
import { noiseParts } from "../../../test/browser/apps/noise.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-bench-plain-"))
const database = new DatabaseSync(join(folder, "rows.db"))
database.exec("PRAGMA locking_mode=exclusive; PRAGMA journal_mode=wal; PRAGMA synchronous=full")
database.exec("CREATE TABLE rows (id INTEGER PRIMARY KEY, mark TEXT NOT NULL)")
const insert = database.prepare("INSERT INTO rows (mark) VALUES (?)")

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://x")
  switch (pathname) {
    case "/small":
      response.end("small\n")
      return
    case "/rows":
      insert.run(searchParams.get("mark") ?? "")
      response.end("{}")
      return
    case "/noise":
      response.setHeader("content-length", searchParams.get("bytes") ?? "0")
      Readable.from(noiseParts(Number(searchParams.get("bytes")))).pipe(response)
      return
    default: {
      let bytes = 0
      request.on("data", (part: Buffer) => (bytes += part.length))
      request.on("end", () => response.end(JSON.stringify({ bytes })))
    }
  }
})
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
process.on("SIGTERM", () => {
  rmSync(folder, { recursive: true, force: true })
  process.exit()
})
