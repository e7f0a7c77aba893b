/**
 * What the owner of a generator lets others do with it: which targets, how much, how long. A plan that wants more is
 * refused before anything is sent; it is never run smaller, because then it would measure something else.
 */

import { isIPv4, isIPv6 } from "node:net"
import { RdvError } from "../../../base/error.ts"
import { hostPortText, readHost, readHostPort } from "../../../config/host-port.ts"
import { mostOf, planEndMs } from "../shape/course.ts"
import type { Scenario, ShapePlan, Target } from "../scenario/scenario.ts"
import type { ThreadTask } from "../engine/generator-thread.ts"

export interface Allowance {
  readonly targets: readonly AllowedTarget[]
  /** Messages per second of this generator; undefined: any. */
  readonly maxRate: number | undefined
  /** Of this generator, at a time. */
  readonly maxConnections: number
  /** From the start to the end of sending. */
  readonly maxDurationMs: number
}

export type AllowedTarget =
  /** Addresses of this machine that no name stands for. */
  | { readonly kind: "loopback" }
  /** Any host without `host`, any port without `port`. */
  | { readonly kind: "host"; readonly host: string | undefined; readonly port: number | undefined }
  | { readonly kind: "unix"; readonly path: string }

/** `*`, `*:PORT`, `HOST`, `HOST:PORT`, `[::1]:PORT`, `unix:/path`. Throws `usage`. */
export function readAllowed(text: string): AllowedTarget {
  if (text.startsWith("unix:")) return { kind: "unix", path: text.slice("unix:".length).replace(/^\/\/(?=\/)/, "") }
  if (text === "*") return { kind: "host", host: undefined, port: undefined }
  if (text.startsWith("*:")) return { kind: "host", host: undefined, port: readHostPort(`any${text.slice(1)}`).port }
  const alone = isIPv6(text) || text.endsWith("]") || !text.includes(":")
  if (alone) return { kind: "host", host: plainHost(readHost(text)), port: undefined }
  const { host, port } = readHostPort(text)
  return { kind: "host", host: plainHost(host), port }
}

/** Throws `forbidden` with the first thing that the plan wants and may not have. */
export function checkAllowed(scenario: Scenario, share: ThreadTask["share"], allowance: Allowance): void {
  for (const target of scenario.targets) {
    if (allowance.targets.some((allowed) => covers(allowed, target))) continue
    throw new RdvError("forbidden", `the target ${placeOf(target)} is not allowed there`, {
      mend: `its owner can start it with --allow ${placeOf(target)}`,
    })
  }
  checkConnections(scenario, share, allowance)
  if (allowance.maxRate !== undefined) checkRate(scenario, share, allowance.maxRate)
  const { warmUpMs, phases, ending } = scenario
  const lengthMs = warmUpMs + Math.min(planEndMs(phases), ending.durationMs ?? Infinity)
  // One without an end of its own is ended there.
  if (lengthMs !== Infinity && lengthMs > allowance.maxDurationMs) {
    throw tooMuch(`${lengthMs / 1000} s`, `${allowance.maxDurationMs / 1000} s`, "--max-duration")
  }
}

/** Where it really connects to: the name in its requests is no matter here. */
function covers(allowed: AllowedTarget, { protocol, host, port, path, address }: Target): boolean {
  if (protocol === "unix") return allowed.kind === "unix" && allowed.path === path
  const to = plainHost(address ?? host)
  switch (allowed.kind) {
    case "loopback":
      return to === "localhost" || to === "::1" || (isIPv4(to) && to.startsWith("127."))
    case "host":
      return (allowed.host ?? to) === to && (allowed.port ?? port) === port
    case "unix":
      return false
  }
}

function placeOf({ protocol, host, port, path, address }: Target): string {
  return protocol === "unix" ? `unix:${path}` : hostPortText({ host: plainHost(address ?? host), port })
}

/** One spelling for each host. */
function plainHost(host: string): string {
  if (isIPv6(host) && !host.includes("%")) return new URL(`http://[${host}]`).hostname.slice(1, -1)
  return host.toLowerCase().replace(/\.$/, "")
}

function checkConnections({ model, phases, targets }: Scenario, { of }: ThreadTask["share"], most: Allowance): void {
  const wanted =
    model.kind === "open"
      ? Math.max(targets.length, Math.ceil(model.connections / of))
      : Math.ceil(Math.round(mostOf(phases)) / of)
  if (wanted > most.maxConnections) {
    throw tooMuch(`${wanted} connections`, String(most.maxConnections), "--max-connections")
  }
}

function checkRate({ model, phases, pace }: Scenario, { of }: ThreadTask["share"], most: number): void {
  const peak = Math.max(mostOf(phases), ...phases.map(({ shape }) => mostInstants(shape)))
  let rate = Math.min(peak, model.kind === "open" ? (model.maxRate ?? Infinity) : Infinity) / of
  if (model.kind === "closed") {
    const { burst, thinkMs } = pace
    // An answer takes no time at best; what is left is the pause.
    const each = Math.min(
      thinkMs > 0 ? 1000 / thinkMs : Infinity,
      burst === undefined ? Infinity : (burst.messages * 1000) / burst.everyMs,
    )
    rate = Math.ceil(rate) * each
    if (rate === Infinity) {
      throw new RdvError("forbidden", `at most ${most} messages/s are allowed there, and the plan has no rate`, {
        mend: "give a rate or a think time, or ask its owner for a higher --max-rate",
      })
    }
  }
  if (rate > most) throw tooMuch(`${Math.ceil(rate)} messages/s`, String(most), "--max-rate")
}

/** Of a replay, within a second. */
function mostInstants(shape: ShapePlan): number {
  if (shape.kind !== "replay") return 0
  const { atMs: instants } = shape
  let most = 0
  let first = 0
  for (const [last, atMs] of instants.entries()) {
    while ((instants[first] as number) <= atMs - 1000) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}

function tooMuch(wanted: string, most: string, flag: string): RdvError {
  return new RdvError("forbidden", `the plan wants ${wanted} of it, and ${most} is the most there`, {
    mend: `ask for less, or ask its owner for a higher ${flag}`,
  })
}
