/** Loaded before a balancer with several event loops: its second thread cannot read files `only-…` that the others can. */

import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { basename } from "node:path"
import { workerData } from "node:worker_threads"

const { readFileSync } = fs
if ((workerData as { readonly loop?: number } | null)?.loop === 2) {
  const refuse = (...words: Parameters<typeof readFileSync>) => {
    if (basename(String(words[0])).startsWith("only-")) throw new Error("refused by a test")
    return readFileSync(...words)
  }
  fs.readFileSync = refuse as typeof readFileSync
  syncBuiltinESMExports()
}
