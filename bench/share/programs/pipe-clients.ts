/** Many clients in one process, each of which hashes and stores what comes: `pipe-clients.ts PORT N FOLDER`. */

import { createHash } from "node:crypto"
import { closeSync, openSync, writeSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"

const [port, clients, folder] = process.argv.slice(2) as [string, string, string]
const sums = new Set<string>()
let open = Number(clients)
for (let client = 0; client < Number(clients); client++) {
  const file = openSync(join(folder, `f${client}`), "w")
  const hash = createHash("sha256")
  connect(Number(port), "127.0.0.1")
    .on("data", (bytes) => {
      hash.update(bytes)
      writeSync(file, bytes)
    })
    .on("end", () => {
      closeSync(file)
      sums.add(hash.digest("hex"))
      if (--open === 0) process.stdout.write(`all through ${[...sums].join(" ")}\n`)
    })
}
// The benchmark looks at us once more before it ends us.
setInterval(() => undefined, 60_000)
