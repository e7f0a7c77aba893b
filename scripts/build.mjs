/** `npm run build`: compiles `src` to `dist`, the package as it is published. Runs before `npm pack` by itself. */

import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { failPlainly, root, setUp } from "./setup.mjs"
import { bundleTabRuntime } from "./tab-runtime.mjs"
import { bundlePages } from "./web.mjs"

const shebang = "#!/usr/bin/env node\n"
const dist = join(root, "dist")
const source = join(root, "src")

try {
  const node = setUp()
  // The pages stay where they are: relays of this checkout serve them meanwhile.
  for (const name of existsSync(dist) ? readdirSync(dist) : []) {
    if (name !== "web") rmSync(join(dist, name), { recursive: true, force: true })
  }
  bundlePages({ force: true })
  bundleTabRuntime({ force: true })
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc")
  const result = spawnSync(node, [compiler, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" })
  if (result.status !== 0) process.exit(1)
  // What the product reads at run time beside code: schemas, texts. Pages are bundled.
  cpSync(source, dist, {
    recursive: true,
    filter(path, to) {
      if (path.endsWith(".ts") || path === join(source, "web")) return false
      const taken = existsSync(to) && !statSync(path).isDirectory()
      if (taken) throw new Error(`${path} would replace what was compiled to ${to}: give it another name`)
      return true
    },
  })
  const command = join(dist, "cli", "main.js")
  if (!existsSync(command)) {
    console.error("dist/cli/main.js was not built: src/cli/main.ts is missing, and the package's command with it")
    process.exit(1)
  }
  const text = readFileSync(command, "utf8")
  if (!text.startsWith("#!")) writeFileSync(command, shebang + text)
  chmodSync(command, 0o755)
} catch (error) {
  failPlainly(error)
}
