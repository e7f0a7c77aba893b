/** A relay without the command line: `relay.ts --listen ADDRESS … [--tls-cert FILE --tls-key FILE]`. */

import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { createLog, startRelay } from "../../src/node.ts"
import { printAddress } from "../../src/transport/address.ts"

const { values } = parseArgs({
  options: {
    listen: { type: "string", multiple: true, default: [] },
    "tls-cert": { type: "string" },
    "tls-key": { type: "string" },
  },
})
const { "tls-cert": cert, "tls-key": key } = values
const relay = await startRelay({
  listen: values.listen,
  store: ":memory:",
  open: true,
  log: createLog({ level: "warn", format: "json" }),
  ...(cert !== undefined && key !== undefined && { tls: { cert: readFileSync(cert), key: readFileSync(key) } }),
})
process.stdout.write(`${JSON.stringify({ addresses: relay.addresses.map(printAddress) })}\n`)
process.once("SIGTERM", () => void relay.stop().then(() => process.exit(0)))
