/** The brokers' clients from npm, in a folder for temporary files: nothing of them is a dependency of the project. */

import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const packages = ["@nats-io/transport-node@3.4.0", "@nats-io/jetstream@3.4.0", "ioredis@6.0.0", "amqplib@2.3.1"]

/** The folder with the clients; a line of why not otherwise. */
export function fetchClients(): { readonly folder: string } | { readonly reason: string } {
  const folder = join(tmpdir(), "rdv-bench-peers", "channels-1")
  if (existsSync(join(folder, "complete"))) return { folder }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n')
  try {
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...packages], {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      timeout: 120_000,
    })
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    const reason = text.split("\n").findLast((line) => /error/i.test(line)) ?? text
    return { reason }
  }
  writeFileSync(join(folder, "complete"), "")
  return { folder }
}
