/** How a tunnel looks on a terminal: where it leads, and a line for each exchange. */

import { printable } from "./output.ts"
import type { Output } from "./output.ts"

export interface Shown {
  readonly url: string
  readonly target: string
  /** Undefined: the relay is in this process. */
  readonly relay: string | undefined
  readonly env: NodeJS.ProcessEnv
}

/** A framed block on a terminal, plain lines elsewhere. */
export function frame(output: Output, { url, target, relay, env }: Shown): string[] {
  const name = /^private:(.*)$/.exec(url)?.[1]
  const rows: [string, string][] = [
    // As targets of a balancer are written.
    name === undefined ? ["public", url] : ["private", `rdv:${name}`],
    ["target", target],
    ...(relay === undefined ? [] : [["relay", relay] as [string, string]]),
    ["look", `${programText(env)} status`],
    ["stop", "Ctrl+C"],
  ]
  const width = Math.max(...rows.map(([, value]) => value.length)) + 11
  if (!output.interactive || width + 4 > output.columns) {
    return rows.slice(0, output.interactive ? rows.length : -2).map(([label, value]) => `${label.padEnd(8)}${value}`)
  }
  const rule = "─".repeat(width + 2)
  const body = rows.map(([label, value], at) => {
    const shown = at === 0 ? output.paint("green", value) : value
    return `│ ${output.paint("dim", label.padEnd(8))}   ${shown}${" ".repeat(width - 11 - value.length)} │`
  })
  return [`┌${rule}┐`, ...body, `└${rule}┘`]
}

/** How this program is called again: `npm start` in a checkout puts no `rdv` on the path. */
function programText(env: NodeJS.ProcessEnv): string {
  return env["npm_lifecycle_event"] === "start" && env["npm_package_name"] === "rdv" ? "./bin/rdv" : "rdv"
}

/** `GET     /path  200  12 ms`, cut to the terminal's width. */
export function exchangeLine(output: Output, method: string, path: string, status: number, ms: number): string {
  const time = ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
  const room = Math.max(10, output.columns - 24)
  const clean = printable(path)
  const shown = clean.length > room ? `${clean.slice(0, room - 1)}…` : clean
  const style = status >= 500 ? "red" : status >= 400 ? "yellow" : "green"
  return `${output.paint(style, String(status))}  ${method.padEnd(7)} ${shown}  ${output.paint("dim", time)}`
}
