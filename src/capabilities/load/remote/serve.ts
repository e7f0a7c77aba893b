/**
 * Offers a generator to other sessions of the same owner, as a private service: they send plans, it runs one at a time and
 * tells what it measured.
 */

import type { Exposed, Host } from "../../../host/host.ts"
import { readPrivateCaller } from "../../../host/private-call.ts"
import type { Scenario } from "../scenario/scenario.ts"
import type { Allowance } from "./allowance.ts"
import { writeLine } from "./json-lines.ts"
import { remoteVersion, serviceOf } from "./messages.ts"
import type { FromGenerator } from "./messages.ts"
import { ServedRun } from "./served-run.ts"

export interface ServeOptions {
  readonly name: string
  readonly allowance: Allowance
  /** Ours, as requests tell it. */
  readonly version: string
  readonly events: ServeEvents
}

export interface ServeEvents {
  readonly onExposed: (exposed: Exposed) => void
  readonly onDelayed: (error: Error) => void
  readonly onRefused: (error: Error) => void
  readonly onStart: (from: string, scenario: Scenario) => void
  /** A call is over: a run, or a plan that did not become one. */
  readonly onEnd: (from: string, reason: string) => void
}

/** A call that holds the generator. */
interface Present {
  readonly from: string
  readonly sinceMs: number
  run: ServedRun | undefined
}

export interface ServedGenerator {
  /** Lets no further messages be sent; who waits for answers gets them. */
  stop(): void
}

export function serveGenerator(host: Host, { name, allowance, version, events }: ServeOptions): ServedGenerator {
  const service = serviceOf(name)
  let present: Present | undefined
  host.accept(
    service,
    ({ stream, header }) => {
      const { from, header: given } = readPrivateCaller(header)
      const refuse = (message: string) => {
        const failed: FromGenerator = { kind: "failed", message, mend: undefined }
        stream.attach({
          data: (chunk) => stream.consumed(chunk.length),
          meta: () => undefined,
          end: () => undefined,
          drain: () => undefined,
          closed: () => undefined,
        })
        writeLine(stream, failed)
        stream.end()
        events.onEnd(from, message)
      }
      if (given["version"] !== remoteVersion) {
        refuse(
          `it speaks version ${remoteVersion} of the messages, and was asked for another one: update one of the two`,
        )
        return
      }
      if (present !== undefined) {
        const seconds = Math.round((host.clock.now() - present.sinceMs) / 1000)
        refuse(`it serves ${present.from} since ${seconds} s, and one plan at a time`)
        return
      }
      const call: Present = { from, sinceMs: host.clock.now(), run: undefined }
      present = call
      call.run = new ServedRun({
        stream,
        clock: host.clock,
        allowance,
        version,
        onStart: (scenario) => events.onStart(from, scenario),
        onEnd: (reason) => {
          present = undefined
          events.onEnd(from, reason)
        },
      })
    },
    {
      expose: { kind: "private", name: service },
      onExposed: events.onExposed,
      onDelayed: events.onDelayed,
      onRefused: events.onRefused,
    },
  )
  host.report(service, () => ({ target: "load generator", running: present === undefined ? null : present.from }))
  return { stop: () => present?.run?.stop("it is shutting down") }
}
