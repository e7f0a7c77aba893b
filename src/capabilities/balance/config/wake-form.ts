/** How a sleeping target is woken: a command that runs as long as it serves, commands or web hooks in pairs. */

import { wrong } from "../../../config/quantity.ts"
import type { ConfigValue } from "../../../config/value.ts"
import { defaultWake } from "./defaults.ts"
import { described, either, keysOf, readFields, writeFields } from "./form.ts"
import type { Form, Table } from "./form.ts"
import type { WakeSettings } from "./settings.ts"
import { durationFrom, isOff, mapOf, optional, path, readText, text, whole, withoutSecrets } from "./value-forms.ts"

type Words = readonly string[]

/** Words, or one text of plain words. */
const words: Form<Words> = {
  read: (value) => (value.kind === "list" ? value.list((word) => word.read(asIs)) : value.read(readWords)),
  write: (value) => value,
  schema: {
    anyOf: [
      { type: "string", minLength: 1 },
      { type: "array", minItems: 1, items: { type: ["string", "number"] } },
    ],
  },
  placeholder: "list of TEXT",
}

const url: Form<string> = readText(
  (written) => {
    const found = URL.parse(written)
    if (found !== null && /^https?:$/.test(found.protocol)) return written
    throw wrong(withoutSecrets(written), "is not the URL of a web hook", "write http://host/path or https://host/path")
  },
  (value) => value,
  "URL",
)

const ready: Form<WakeSettings["ready"]> = readText(
  (written) => {
    if (written === "tcp") return { kind: "tcp" }
    if (/^\/[\x21-\x7e]*$/.test(written)) return { kind: "http", path: written }
    throw wrong(written, "is no sign of readiness", "write tcp, or the path of an HTTP request such as /healthz")
  },
  (value) => (value.kind === "tcp" ? "tcp" : value.path),
  "tcp, PATH",
)

interface Flat extends Omit<WakeSettings, "how"> {
  readonly command: Words | undefined
  readonly cwd: string | undefined
  readonly start: Words | undefined
  readonly stop: Words | undefined
  readonly startUrl: string | undefined
  readonly stopUrl: string | undefined
}

const table: Table<Flat> = {
  command: { key: "command", form: optional(words), summary: "Runs as long as the target serves; ended by SIGTERM" },
  cwd: { key: "cwd", form: optional(path), summary: "The folder that `command` runs in" },
  start: { key: "start", form: optional(words), summary: "Starts the target and ends" },
  stop: { key: "stop", form: optional(words), summary: "Stops what `start` started" },
  startUrl: { key: "start-url", form: optional(url), summary: "Gets a POST to start the target" },
  stopUrl: { key: "stop-url", form: optional(url), summary: "Gets a POST to stop it" },
  env: {
    key: "env",
    form: mapOf({ ...text, read: (value) => value.read(asIs) }),
    summary: "Variables for the commands, beside our own",
  },
  ready: { key: "ready", form: ready, summary: "`tcp`: takes connections; a path: answers HTTP with 200 to 399" },
  idleMs: { key: "idle", form: durationFrom(100), summary: "Without a connection for so long, it is stopped" },
  timeoutMs: { key: "timeout", form: durationFrom(10), summary: "From the start until it has to be ready" },
  stopMs: { key: "stop-timeout", form: durationFrom(0), summary: "Between SIGTERM and SIGKILL" },
  queue: { key: "queue", form: whole(1, 1_000_000), summary: "Connections that may wait for it" },
}

const noHow = {
  command: undefined,
  cwd: undefined,
  start: undefined,
  stop: undefined,
  startUrl: undefined,
  stopUrl: undefined,
} as const

const noFlat: Flat = { ...noHow, ...defaultWake }

const ways = ["command", "start", "start-url"] as const

export const wake: Form<WakeSettings | undefined> = {
  read(value, base) {
    if (isOff(value)) return undefined
    const fields = value.fields(keysOf(table), { anyCase: true })
    if (fields === undefined) return undefined
    const given = ways.filter((key) => fields.get(key) !== undefined)
    const second = given[1]
    if (second !== undefined) {
      return fields.get(second)?.wrong(`it is started in two ways, "${given[0]}" and "${second}"`, "leave one out")
    }
    const start = base === undefined ? noFlat : flatOf(base)
    const flat = readFields(table, fields, given.length > 0 ? { ...start, ...noHow } : start)
    const how = howOf(flat)
    // What is there and wrong was told already.
    if (how === undefined && given.length > 0) return undefined
    if (how === undefined) return value.wrong("it says nothing to start", 'add "command", "start" or "start-url"')
    refuseStrays(how.kind, (key) => fields.get(key))
    const { env, ready: sign, idleMs, timeoutMs, stopMs, queue } = flat
    return { how, env, ready: sign, idleMs, timeoutMs, stopMs, queue }
  },
  write: (value, _base, all) =>
    value === undefined ? "off" : drop(writeFields(table, flatOf(value), noFlat, all), value.how.kind),
  ...either([{ enum: ["off", false] }], described(table, noFlat)),
  placeholder: "map, off",
  optional: true,
}

/** Key → the way that it goes with. */
const goesWith = {
  command: "process",
  cwd: "process",
  start: "commands",
  stop: "commands",
  "start-url": "hooks",
  "stop-url": "hooks",
} as const

function refuseStrays(kind: WakeSettings["how"]["kind"], get: (key: string) => ConfigValue | undefined): void {
  for (const [key, way] of Object.entries(goesWith)) {
    if (way === kind) continue
    const wanted = ways.find((one) => goesWith[one] === way) as string
    get(key)?.wrong(`"${key}" goes with "${wanted}", which is not there`, "leave it out")
  }
}

function drop<Written extends { [key: string]: unknown }>(
  written: Written,
  kind: WakeSettings["how"]["kind"],
): Written {
  return Object.fromEntries(
    Object.entries(written).filter(
      ([key]) => (goesWith as Record<string, string>)[key] === undefined || (goesWith[key as "cwd"] as string) === kind,
    ),
  ) as Written
}

function howOf({ command, cwd, start, stop, startUrl, stopUrl }: Flat): WakeSettings["how"] | undefined {
  if (command !== undefined) return { kind: "process", command, cwd }
  if (start !== undefined) return { kind: "commands", start, stop }
  return startUrl === undefined ? undefined : { kind: "hooks", start: startUrl, stop: stopUrl }
}

function flatOf({ how, ...others }: WakeSettings): Flat {
  switch (how.kind) {
    case "process":
      return { ...noHow, ...others, command: how.command, cwd: how.cwd }
    case "commands":
      return { ...noHow, ...others, start: how.start, stop: how.stop }
    case "hooks":
      return { ...noHow, ...others, startUrl: how.start, stopUrl: how.stop }
  }
}

function readWords(written: string): Words {
  if (/["'`$\\&|;<>()*?~#]/.test(written)) {
    throw wrong(
      written,
      "has signs that only a shell reads",
      `write a list: [program, "an argument"], or [sh, -c, "…"]`,
    )
  }
  const found = written.split(/\s+/).filter((word) => word !== "")
  if (found.length > 0) return found
  throw wrong(written, "names no program", "write a list: [program, argument]")
}

function asIs(written: string): string {
  return written
}
