/** `npm run bench -- NAME …`: sets up what is missing and runs the benchmarks. */

import { join } from "node:path"
import { become } from "./run.mjs"
import { failPlainly, root, setUp } from "./setup.mjs"
import { setUpSystem } from "./system-packages.mjs"

try {
  const node = setUp()
  setUpSystem("bench")
  become(node, join(root, "bench", "main.ts"), process.argv.slice(2))
} catch (error) {
  failPlainly(error)
}
