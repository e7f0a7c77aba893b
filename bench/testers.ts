/** Load testers by their command lines, and what their outputs say. */

import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Plan {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  /** Messages a second, for testers that can; the others go as fast as the target lets them. */
  readonly rate?: number
}

export interface Report {
  readonly perSecond: number
  /** ms; undefined: it does not tell. */
  readonly p50: number | undefined
  readonly p99: number | undefined
}

export interface Tester {
  readonly name: string
  readonly command: readonly [program: string, ...args: string[]]
  read(output: string): Report
}

const commandLine = join(import.meta.dirname, "..", "src", "cli", "main.ts")

export function rdvLoad({ url, connections, seconds, rate }: Plan, name = "rdv load", workers = 1): Tester {
  const speed = rate === undefined ? [] : ["--rate", String(rate)]
  const plan = ["--connections", String(connections), "--duration", `${seconds}s`, "--workers", String(workers)]
  return {
    name,
    command: [process.execPath, commandLine, "load", url, ...speed, ...plan, "--quiet", "--json"],
    read(output) {
      const { total } = JSON.parse(output) as { total: { rate: number; latency: { p50: number; p99: number } } }
      return { perSecond: total.rate, p50: total.latency.p50 / 1000, p99: total.latency.p99 / 1000 }
    },
  }
}

export function wrk({ url, connections, seconds }: Plan): Tester {
  const script = join(import.meta.dirname, "wrk.lua")
  return {
    name: "wrk",
    command: ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", script, url],
    read(output) {
      const result = JSON.parse(/^\{.*\}$/m.exec(output)?.[0] ?? "{}") as Record<string, number>
      const of = (key: string): number => result[key] ?? NaN
      return { perSecond: of("requests") / (of("microseconds") / 1e6), p50: of("p50") / 1000, p99: of("p99") / 1000 }
    },
  }
}

export function hey({ url, connections, seconds }: Plan): Tester {
  return {
    name: "hey",
    command: ["hey", "-c", String(connections), "-z", `${seconds}s`, url],
    read(output) {
      const ms = (percent: number) =>
        1000 * Number(new RegExp(String.raw`^\s*${percent}%+ in ([\d.]+) secs`, "m").exec(output)?.[1])
      return { perSecond: Number(/Requests\/sec:\s*([\d.]+)/.exec(output)?.[1]), p50: ms(50), p99: ms(99) }
    },
  }
}

export function h2load({ url, connections, seconds }: Plan): Tester {
  return {
    name: "h2load",
    command: ["h2load", "--h1", "-t1", `-c${connections}`, `-D${seconds}`, url],
    read: (output) => ({
      perSecond: Number(/finished in [^,]*, ([\d.]+) req\/s/.exec(output)?.[1]),
      p50: undefined,
      p99: undefined,
    }),
  }
}

/** From npm, into a folder for temporary files. Throws when it cannot be had. */
export function autocannon({ url, connections, seconds }: Plan): Tester {
  const folder = join(tmpdir(), "rdv-bench-peers", "autocannon")
  const program = join(folder, "node_modules", "autocannon", "autocannon.js")
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "peer", private: true }))
    const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "autocannon@8.0.0"]
    execFileSync("npm", args, { cwd: folder, stdio: "ignore", timeout: 120_000 })
  }
  return {
    name: "autocannon",
    command: [process.execPath, program, "-j", "-c", String(connections), "-d", String(seconds), url],
    read(output) {
      const result = JSON.parse(/^\{.*\}$/m.exec(output)?.[0] ?? "{}") as {
        requests?: { average?: number }
        latency?: { p50?: number; p99?: number }
      }
      return { perSecond: result.requests?.average ?? NaN, p50: result.latency?.p50, p99: result.latency?.p99 }
    },
  }
}
