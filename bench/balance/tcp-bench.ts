/** The client and target in C, compiled for this run: what it can be asked, and what it answers. */

import { spawnSync } from "node:child_process"
import { join } from "node:path"
import type { Child, Children } from "../children.ts"
import { processFamily } from "../machine.ts"
import type { Place } from "../origin.ts"

/** What stands behind a proxy; `programs/tcp-bench.c` says what each does. */
export const roles = ["echo", "once", "source", "sink"] as const
export type Role = (typeof roles)[number]

export type Ports = Readonly<Record<Role, number>>

/** The numbers of one run; which ones depends on the question. */
export type Answer = { readonly [figure: string]: number }

export class TcpBench {
  readonly program: string
  readonly children: Children

  /** Throws where there is no C compiler. */
  constructor(children: Children) {
    this.children = children
    this.program = compile(children, "tcp-bench")
  }

  /** One process with a port of loopback for each role. */
  async startTargets(): Promise<Ports> {
    const child = this.children.start("targets", this.program, ["target", ...roles])
    await child.until(new RegExp(`^${roles.at(-1)} \\d+\n`, "m"))
    const ports = Object.fromEntries(
      roles.map((role) => [role, Number(new RegExp(`^${role} (\\d+)`, "m").exec(child.output)?.[1])]),
    ) as Record<Role, number>
    return ports
  }

  /** Runs to its end; what the process `pid` and those it started used meanwhile is `cpuSeconds`. */
  async ask(question: readonly string[], pid: number | undefined, seconds: number): Promise<Answer> {
    const args = pid === undefined ? question : [...question, `cpu=${processFamily(pid).join(",")}`]
    const output = await this.children.start("tcp-bench", this.program, args).done((seconds + 30) * 1000)
    return JSON.parse(output) as Answer
  }

  /** Connections that do nothing, after one message each; they end with the child. */
  async hold(place: Place, count: number): Promise<Child> {
    const child = this.children.start("tcp-bench", this.program, ["idle", place.host, `${place.port}`, `${count}`])
    await child.until(/"open"/, 60_000)
    return child
  }
}

/** One of the programs in C; throws where there is no compiler. */
export function compile(children: Children, name: string): string {
  const program = join(children.folder(), name)
  const source = join(import.meta.dirname, "..", "programs", `${name}.c`)
  const { status, stderr, error } = spawnSync("cc", ["-O2", "-o", program, source], { encoding: "utf8" })
  if (status !== 0) throw new Error(`${name} needs a C compiler (cc): ${error?.message ?? stderr.trim()}`)
  return program
}
