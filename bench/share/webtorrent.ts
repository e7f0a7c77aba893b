/** webtorrent from npm, in a folder for temporary files: nothing of it is a dependency of the project. */

import { execFileSync } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import type { Child } from "../children.ts"
import { Gauge } from "./gauge.ts"
import type { ShareSystem } from "./system.ts"

/** The newest ones of the second do not go with the first. */
const packages = ["webtorrent@2.8.5", "bittorrent-tracker@11.2.1"]

const program = join(import.meta.dirname, "programs", "webtorrent-client.mjs")

export const webtorrent: ShareSystem = {
  name: "webtorrent",
  note: "webtorrent 2.8.5 for each client, a process of Node, and its tracker (with `--peers`)",
  isFetched: true,
  // 195 s for 50 on this machine when it was tried.
  most: 10,
  missing: fetchWebtorrent,
  async run(children, { clients, file, folder }) {
    const modules = join(clientsFolder, "node_modules")
    const seedFolder = join(folder, "seed")
    mkdirSync(seedFolder)
    copyFileSync(file, join(seedFolder, basename(file)))
    const seed = children.node("webtorrent seed", [program, modules, "seed", join(seedFolder, basename(file)), folder])
    const peers: Child[] = []
    const gauge = new Gauge(() => ({ servers: [seed.pid], clients: peers.map(({ pid }) => pid) }))
    try {
      await seed.until(/seeding/, 60_000)
      gauge.begin()
      for (let client = 0; client < clients; client++) {
        const own = join(folder, String(client))
        mkdirSync(own)
        const args = [program, modules, "get", join(folder, "content.torrent"), own]
        peers.push(children.node("webtorrent client", args))
      }
      await Promise.all(peers.map((peer) => peer.until(/all through/, 180_000)))
      return {
        taken: gauge.end(),
        outputs: peers.map((_, client) => join(folder, String(client), basename(file))),
      }
    } finally {
      gauge.stop()
      await Promise.all([...peers, seed].map((child) => child.stop()))
    }
  },
}

const clientsFolder = join(tmpdir(), "rdv-bench-peers", "share-1")

function fetchWebtorrent(): string | undefined {
  if (existsSync(join(clientsFolder, "complete"))) return undefined
  mkdirSync(clientsFolder, { recursive: true })
  writeFileSync(join(clientsFolder, "package.json"), '{ "private": true }\n')
  try {
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...packages], {
      cwd: clientsFolder,
      stdio: ["ignore", "ignore", "pipe"],
      timeout: 180_000,
    })
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return text.split("\n").findLast((line) => /error/i.test(line)) ?? text
  }
  writeFileSync(join(clientsFolder, "complete"), "")
  return undefined
}
