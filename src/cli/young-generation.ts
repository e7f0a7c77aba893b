/**
 * Keeps V8's young generation small in processes that serve for long. By default it grows with the load, to 64 MiB per half
 * on a large machine, and walks through all of it before it collects: far more than a processor's cache holds. What one
 * exchange allocates dies with it, so a small one collects as little, from warmer memory. Measured with 64 connections:
 * half the resident memory, half the p99, the same or less processor time (docs/decisions/0009-small-young-generation.md).
 */

import { existsSync } from "node:fs"

/** MiB per half; 2 and 8 were both slower. */
const flag = "--max-semi-space-size=4"

/** The commands that serve until they are stopped; for the others a second start of Node would cost more than it gains. */
const serving: ReadonlySet<string> = new Set([
  "relay",
  "http",
  "tcp",
  "balance",
  "chan serve",
  "chan proxy",
  "share",
  "get",
])

/**
 * Replaces this process by the same one with the flag, where that is possible (execve(2), so not on Windows) and needed:
 * V8 reads the flag only at its start. Same process id, arguments, environment and descriptors. Costs 25 ms.
 */
export function boundYoungGeneration(): void {
  const { argv, execArgv, execPath, env } = process
  const isServing = serving.has(argv[2] ?? "") || serving.has(`${argv[2]} ${argv[3]}`)
  if (!isServing || process.platform === "win32" || process.execve === undefined) return
  // Whoever set it knows better, and we come here a second time; a channel to a parent would not survive.
  const given = [...execArgv, env.NODE_OPTIONS ?? ""].some((text) => text.includes("semi-space-size"))
  if (given || process.channel !== undefined) return
  // A call that fails would end the process: after an upgrade the program may be elsewhere.
  if (!existsSync(execPath)) return
  process.execve(execPath, [execPath, flag, ...execArgv, ...argv.slice(1)], env)
}
