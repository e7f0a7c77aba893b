/** The file that `--json` asks for. */

import { writeFileSync } from "node:fs"
import { machineLine } from "./machine.ts"
import type { Options } from "./options.ts"

export function writeJson(options: Options, figures: object): void {
  if (options.json === undefined) return
  const { json, ...asked } = options
  const report = { at: new Date().toISOString(), machine: machineLine(), asked, figures }
  writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`)
  process.stdout.write(`\nAll rounds: ${json}\n`)
}
