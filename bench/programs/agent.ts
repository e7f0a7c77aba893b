/** An agent without the command line: `agent.ts http|tcp TARGET --relay ADDRESS [--name NAME] [--ca FILE]`. */

import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { createLog, startAgent, startTunnel } from "../../src/node.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    relay: { type: "string", default: "" },
    name: { type: "string" },
    ca: { type: "string" },
  },
})
const [kind = "http", target = ""] = positionals
if (kind !== "http" && kind !== "tcp") throw new Error("The first argument is http or tcp")
const running = startAgent({
  relay: values.relay,
  log: createLog({ level: "warn", format: "json" }),
  ...(values.ca !== undefined && { dial: { ca: readFileSync(values.ca, "utf8") } }),
})
await startTunnel(
  running.agent,
  { kind, target, ...(values.name !== undefined && { name: values.name }) },
  {
    onExposed: ({ url }) => void process.stdout.write(`${JSON.stringify({ url })}\n`),
    onRefused: (error) => {
      process.stderr.write(`${error.message}\n`)
      process.exit(1)
    },
  },
)
process.once("SIGTERM", () => void running.stop().then(() => process.exit(0)))
