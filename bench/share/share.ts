/**
 * One file to many: rdv beside nginx with curl, a pipe in Node and swarms of BitTorrent, in one run, the rounds
 * interleaved; then the same with uplinks that are held to a rate, and by multicast. With `--write` the tables enter
 * docs/benchmarks.md.
 */

import { createHash, randomFillSync } from "node:crypto"
import { closeSync, createReadStream, existsSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs"
import { freemem } from "node:os"
import { join } from "node:path"
import { Rounds } from "../channels/rounds.ts"
import type { Child, Children } from "../children.ts"
import { writeDocs } from "../docs.ts"
import { machineLine } from "../machine.ts"
import { wants } from "../options.ts"
import type { Options } from "../options.ts"
import { writeJson } from "../report.ts"
import { say } from "../table.ts"
import { showShare } from "./show.ts"
import type { Outcome, ShareSystem } from "./system.ts"
import { systems } from "./systems.ts"
import { worksOf } from "./works.ts"
import type { ShareWork } from "./works.ts"

const parts = ["1", "10", "50", "100", "uplinks", "hosts", "multicast"]

export async function benchShare(options: Options, children: Children): Promise<void> {
  const wanted = wants(options, parts)
  say(`${machineLine()}\n`)
  const works = worksOf(options).filter(({ part, clients }) => wanted(part === "copies" ? String(clients) : part))
  const chosen = choose(options)
  const folder = children.folder()
  const files = new Map<number, { path: string; hash: string }>()
  const rounds = new Rounds()
  for (let round = 1; round <= options.rounds; round++) {
    for (const work of works) {
      if (round > (work.rounds ?? options.rounds)) continue
      for (const system of chosen) {
        if (!work.takes(system)) continue
        process.stderr.write(`round ${round} of ${options.rounds}: ${work.name}, ${system.name} …\n`)
        const { bytes } = work
        let file = files.get(bytes)
        if (file === undefined) {
          const path = join(folder, `content-${bytes}.bin`)
          randomFile(path, bytes)
          files.set(bytes, (file = { path, hash: await hashOf(path) }))
        }
        try {
          const taken = await take(children, system, work, file, join(folder, "out"))
          rounds.add(round, system.name, work.name, taken)
        } catch (error) {
          const reason = error instanceof Error ? error.message.split("\n")[0] : String(error)
          process.stderr.write(`${system.name}, ${work.name}: failed: ${reason}\n`)
        }
      }
    }
  }
  showShare(rounds, chosen, works)
  say(`\n${machineLine()}\n`)
  writeJson(options, rounds)
  if (options.write) writeDocs("share", options)
}

function choose(options: Options): readonly ShareSystem[] {
  const unknown = options.systems?.find((wanted) => systems.every(({ name }) => name !== wanted))
  if (unknown !== undefined) {
    throw new Error(`--systems knows ${systems.map(({ name }) => name).join("; ")}, not "${unknown}"`)
  }
  return systems.filter((system) => {
    if (options.systems?.includes(system.name) === false) return false
    if (system.isFetched === true && !options.peers && options.systems === undefined) return false
    const missing = system.missing()
    if (missing !== undefined) say(`${system.name} is left out: ${missing}\n`)
    return missing === undefined
  })
}

async function take(
  children: Children,
  system: ShareSystem,
  work: ShareWork,
  file: { readonly path: string; readonly hash: string },
  folder: string,
): Promise<{ readonly [figure: string]: number }> {
  mkdirSync(folder)
  try {
    const needed = work.clients * work.bytes * 1.1 + spareBytes
    const { bavail, bsize } = statfsSync(folder)
    if (bavail * bsize < needed) throw new Error(`it needs ${Math.ceil(needed / 1e9)} GB of free disk in ${folder}`)
    const { clients, bytes, uplink, by } = work
    const ballast = await keepMemory(children, clients * bytes + 1e9)
    const task = { clients, bytes, uplink, by, file: file.path, folder }
    const { taken, outputs } = await runAndStop(() => system.run(children, task), ballast)
    // Outside of the clock: the first, the last and some between.
    for (const at of [0, Math.floor(outputs.length / 2), outputs.length - 1]) {
      const output = outputs[at]
      if (output !== undefined && (await hashOf(output)) !== file.hash)
        throw new Error(`${output} is not what was shared`)
    }
    return {
      ...taken,
      ...(work.bound !== undefined && { "of the bound": taken.seconds / work.bound }),
      "cpu per GB": (taken["server cpu"] + taken["client cpu"]) / ((clients * bytes) / 1e9),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Where free memory goes back to a host, it is kept until it is needed. */
async function keepMemory(children: Children, bytes: number): Promise<Child | undefined> {
  if (!existsSync("/sys/module/page_reporting")) return undefined
  const program = join(import.meta.dirname, "programs", "ballast.ts")
  const child = children.node("ballast", [program, String(Math.min(bytes, freemem() * 0.45))])
  await child.until(/ready/, 120_000)
  return child
}

async function runAndStop(run: () => Promise<Outcome>, ballast: Child | undefined): Promise<Outcome> {
  try {
    return await run()
  } finally {
    await ballast?.stop()
  }
}

function randomFile(path: string, bytes: number): void {
  const file = openSync(path, "w")
  const part = Buffer.allocUnsafe(1 << 20)
  for (let written = 0; written < bytes;) {
    randomFillSync(part)
    written += writeSync(file, part, 0, Math.min(part.length, bytes - written))
  }
  closeSync(file)
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256")
  for await (const part of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(part as Buffer)
  return hash.digest("hex")
}

const spareBytes = 2e9
