/**
 * A server in a tab: requests and bodies through a relay, durable rows, the way through the service worker, and what a visitor
 * loads; beside the same application in Node behind the same relay, and a plain server. The rounds are interleaved.
 */

import { gzipSync } from "node:zlib"
import { OutsideClient } from "../../test/kit/outside-client.ts"
import { comesTrue } from "../../test/kit/tab-browser.ts"
import { Rounds } from "../channels/rounds.ts"
import type { Children } from "../children.ts"
import { writeDocs } from "../docs.ts"
import { runBulk, runRequests } from "../load.ts"
import { machineLine } from "../machine.ts"
import { wants } from "../options.ts"
import type { Options } from "../options.ts"
import { startRelayProcess } from "../rdv.ts"
import { writeJson } from "../report.ts"
import { say } from "../table.ts"
import { showTab } from "./show.ts"
import { builtSite, tabSystems } from "./systems.ts"
import type { RunningTab, TabSystem } from "./systems.ts"

const parts = ["requests", "bulk", "inserts", "page", "size"]
const bulkBytes = 50_000_000

export async function benchTab(options: Options, children: Children): Promise<void> {
  const wanted = wants(options, parts)
  say(`${machineLine()}\n`)
  const rounds = new Rounds()
  const systems = choose(options)
  for (let round = 1; round <= options.rounds; round++) {
    for (const system of systems) {
      process.stderr.write(`round ${round} of ${options.rounds}: ${system.name} …\n`)
      const relay = await startRelayProcess(children, { link: "tcp", source: false })
      try {
        const running = await system.start(children, relay)
        try {
          const add = (work: string, figures: { readonly [figure: string]: number }) =>
            rounds.add(round, system.name, work, figures)
          await measure(children, system, running, options, wanted, add)
        } finally {
          await running.stop()
        }
      } catch (error) {
        process.stderr.write(`${system.name}: failed: ${error instanceof Error ? error.message : String(error)}\n`)
      } finally {
        await relay.child.stop()
      }
    }
  }
  const sizes = wanted("size") ? await sizesOf() : undefined
  showTab(rounds, systems, sizes)
  say(`\n${machineLine()}\n`)
  writeJson(options, rounds)
  if (options.write) writeDocs("tab", options)
}

async function measure(
  children: Children,
  system: TabSystem,
  running: RunningTab,
  options: Options,
  wanted: (part: string) => boolean,
  add: (work: string, figures: { readonly [figure: string]: number }) => void,
): Promise<void> {
  const { seconds } = options
  const requests = async (work: string, path: string, connections: number, method = "GET") => {
    const { perSecond, p50, p99, failed } = await runRequests(children, running, path, connections, seconds, method)
    add(work, { perSecond, p50: p50 / 1000, p99: p99 / 1000, failed })
  }
  if (wanted("requests")) {
    // What is compiled while it runs.
    await runRequests(children, running, "/small", 4, 1)
    for (const connections of [1, 16, 64]) await requests(`requests ${connections}`, "/small", connections)
  }
  if (wanted("bulk")) {
    const times = options.quick ? 1 : 3
    const down = { path: `/noise?bytes=${bulkBytes}`, bytes: bulkBytes, times, up: false }
    const up = { path: "/count", bytes: bulkBytes, times, up: true }
    add("down", { megabytes: (await runBulk(children, running, down)).gigabytes * 1000 })
    add("up", { megabytes: (await runBulk(children, running, up)).gigabytes * 1000 })
  }
  if (wanted("inserts")) await requests("inserts 64", "/rows?mark=b", 64, "POST")
  if (wanted("page") && system.hasPage) add("page", await pageFigures(running, seconds))
}

/** The page leaves its figures with the server, which tells us. */
async function pageFigures(running: RunningTab, seconds: number): Promise<{ readonly [figure: string]: number }> {
  await running.measurePage(seconds)
  const client = new OutsideClient(`http://${running.hostHeader}`)
  try {
    let figures: { readonly [figure: string]: number } | { readonly error: string } | null = null
    await comesTrue(
      "the page has measured",
      async () => {
        figures = JSON.parse((await client.ask("/figures")).body.toString()) as typeof figures
        return figures !== null
      },
      (seconds * 6 + 20) * 1000,
    )
    const got = figures as unknown as { readonly [figure: string]: number } & { readonly error?: string }
    if (got.error !== undefined) throw new Error(got.error)
    return got
  } finally {
    client.close()
  }
}

function choose(options: Options): readonly TabSystem[] {
  return tabSystems.filter(({ name, missing }) => {
    if (options.systems?.includes(name) === false) return false
    if (missing !== false) say(`${name} is left out: ${missing}\n`)
    return missing === false
  })
}

export interface Sizes {
  /** kB, gzipped: what every visitor loads, without SQLite and the application. */
  readonly runtime: number
  /** Loaded when somebody goes public. */
  readonly goingPublic: number
  readonly sqlite: number
}

async function sizesOf(): Promise<Sizes> {
  const { files } = await builtSite()
  const sum = (test: (path: string) => boolean) =>
    [...files].filter(([path]) => test(path)).reduce((bytes, [, content]) => bytes + gzipSync(content).length, 0) / 1000
  const isSqlite = (path: string) => /\/sqlite/.test(path)
  const isLater = (path: string) => /\/(?:public-tab|control)/.test(path)
  const isRuntime = (path: string) => path === "rdv-sw.js" || /^\.rdv\/.*\.js$/.test(path)
  return {
    runtime: sum((path) => isRuntime(path) && !isSqlite(path) && !isLater(path)),
    goingPublic: sum((path) => isRuntime(path) && /\/public-tab/.test(path)),
    sqlite: sum(isSqlite),
  }
}
