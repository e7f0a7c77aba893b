/** `tcp`, `tls`, `off`, or a map whose `check` decides which keys go with it. */

import type { ConfigValue } from "../../../config/value.ts"
import { wrong } from "../../../config/quantity.ts"
import { defaultHealth } from "./defaults.ts"
import { described, either, keysOf, readFields, writeFields } from "./form.ts"
import type { Form, Table } from "./form.ts"
import type { HealthCheck, HealthSettings } from "./settings.ts"
import { choice, durationFrom, isOff, listOf, optional, readText, share, unsaid, whole } from "./value-forms.ts"

type Statuses = readonly (readonly [least: number, most: number])[]
type Kind = HealthCheck["kind"]

interface Flat extends Omit<HealthSettings, "check" | "downIntervalMs"> {
  readonly check: Kind
  readonly path: string
  readonly method: string
  readonly host: string | undefined
  readonly statuses: Statuses
  readonly send: string
  readonly expect: string
  readonly downIntervalMs: number | undefined
}

const kinds: readonly Kind[] = ["tcp", "tls", "http", "expect"]

const status = readText<readonly [number, number]>(
  (written) => {
    const [, least, most = least] = /^(\d{3})(?:-(\d{3}))?$/.exec(written) ?? []
    const range = [Number(least), Number(most)] as const
    if (range[0] >= 100 && range[1] <= 599 && range[0] <= range[1]) return range
    throw wrong(written, "is not a status", "write 200 or 200-299")
  },
  ([least, most]) => (least === most ? least : `${least}-${most}`),
  "STATUS",
  { type: ["string", "integer"], pattern: String.raw`^\d{3}(-\d{3})?$`, minimum: 100, maximum: 599 },
)

const token = (name: string, pattern: RegExp, mend: string): Form<string> =>
  readText(
    (written) => {
      if (pattern.test(written)) return written
      throw wrong(written, `is not a ${name}`, mend)
    },
    (value) => value,
    name.toUpperCase(),
  )

const bytes = readText(readLatin1, latin1Text, "BYTES", { type: ["string", "number"] })

const table: Table<Flat> = {
  check: { key: "check", form: choice(...kinds), summary: "How a target is tried" },
  path: { key: "path", form: token("path", /^\/[\x21-\x7e]*$/, "write /healthz"), summary: "http: what is asked for" },
  method: {
    key: "method",
    form: token("method", /^[A-Z]{1,20}$/, "write GET or HEAD"),
    summary: "http: how it is asked for",
  },
  host: {
    key: "host",
    form: optional(token("host", /^[\x21-\x7e]+$/, "write shop.test")),
    summary: "http: the Host header, instead of the target's",
  },
  statuses: { key: "status", form: listOf(status), summary: "http: which answers are good" },
  send: {
    key: "send",
    form: bytes,
    summary: String.raw`expect: sent after the connect; \r, \n and \xHH stand for bytes`,
  },
  expect: { key: "expect", form: bytes, summary: "expect: what the answer has to contain" },
  intervalMs: { key: "interval", form: durationFrom(10), summary: "From one check to the next" },
  downIntervalMs: {
    key: "down-interval",
    form: unsaid(durationFrom(10)),
    summary: "The same while the target is down (default: as `interval`)",
  },
  jitter: { key: "jitter", form: share, summary: "Each interval is longer or shorter by up to this" },
  timeoutMs: { key: "timeout", form: durationFrom(1), summary: "How long one check may take" },
  rise: { key: "rise", form: whole(1, 100), summary: "So many good checks in a row, and it is up" },
  fall: { key: "fall", form: whole(1, 100), summary: "So many bad ones, and it is down" },
  port: { key: "port", form: optional(whole(1, 65_535)), summary: "Checked instead of the target's own port" },
}

const flatDefault: Flat = flatOf(defaultHealth)
const ofHttp = ["path", "method", "host", "status"]
const ofExpect = ["send", "expect"]

export const health: Form<HealthSettings | undefined> = {
  read(value, base = defaultHealth) {
    if (isOff(value)) return undefined
    if (value.kind !== "map") {
      const check = value.choice([...kinds.filter((kind) => kind !== "expect"), "off"] as const)
      return check === undefined || check === "off" ? undefined : settingsOf({ ...flatOf(base), check })
    }
    const fields = value.fields(keysOf(table), { anyCase: true })
    if (fields === undefined) return undefined
    const given = (keys: readonly string[]) => keys.find((key) => fields.get(key) !== undefined)
    const meant = given(ofHttp) === undefined ? (given(ofExpect) === undefined ? undefined : "expect") : "http"
    const start = flatOf(base)
    const check = fields.get("check") === undefined && meant !== undefined ? meant : start.check
    const flat = readFields(table, fields, { ...start, check })
    refuseStrays(flat.check, (key) => fields.get(key))
    // Who changes the interval means both, unless both are said.
    const own = given(["interval"]) !== undefined && given(["down-interval"]) === undefined
    return settingsOf(own ? { ...flat, downIntervalMs: undefined } : flat)
  },
  write(value, _base, all) {
    if (value === undefined) return "off"
    const flat = flatOf(value)
    const keys = writeFields(table, flat, flatDefault, all)
    for (const key of [...(flat.check === "http" ? [] : ofHttp), ...(flat.check === "expect" ? [] : ofExpect)]) {
      delete keys[key]
    }
    const simple = Object.keys(keys).length === 0 || (Object.keys(keys).length === 1 && keys["check"] !== undefined)
    if (simple && flat.check !== "expect") return flat.check
    return { check: flat.check, ...keys }
  },
  ...either([{ enum: ["tcp", "tls", "http", "off", false] }], described(table, flatDefault)),
  placeholder: "tcp, tls, http, off, or map",
  optional: true,
}

function refuseStrays(check: Kind, get: (key: string) => ConfigValue | undefined): void {
  for (const [kind, keys] of [
    ["http", ofHttp],
    ["expect", ofExpect],
  ] as const) {
    if (check === kind) continue
    for (const key of keys)
      get(key)?.wrong(`"${key}" is for the check "${kind}", and this one is "${check}"`, "leave one out")
  }
}

function flatOf({ check, ...others }: HealthSettings): Flat {
  const [http, expect] = [check.kind === "http" ? check : undefined, check.kind === "expect" ? check : undefined]
  return {
    check: check.kind,
    path: http?.path ?? "/",
    method: http?.method ?? "GET",
    host: http?.host,
    statuses: http?.statuses ?? [[200, 399]],
    send: expect?.send ?? "",
    expect: expect?.expect ?? "",
    ...others,
    downIntervalMs: others.downIntervalMs === others.intervalMs ? undefined : others.downIntervalMs,
  }
}

function settingsOf({ check, path, method, host, statuses, send, expect, ...others }: Flat): HealthSettings {
  return { ...others, check: checkOf(), downIntervalMs: others.downIntervalMs ?? others.intervalMs }
  function checkOf(): HealthCheck {
    if (check === "http") return { kind: check, path, method, host, statuses }
    return check === "expect" ? { kind: check, send, expect } : { kind: check }
  }
}

const escapes: Readonly<Record<string, string>> = { r: "\r", n: "\n", t: "\t", "0": "\0", "\\": "\\" }

const escape = /\\(?:x([0-9a-f]{2})|([rnt0\\]))/gi

function readLatin1(written: string): string {
  if (/[^\0-\xff]/.test(written))
    throw wrong(written, "has a character that is more than one byte", String.raw`write its bytes as \xHH`)
  if (written.replace(escape, "").includes("\\")) {
    throw wrong(written, "has a \\ that stands for nothing", String.raw`write \r, \n, \t, \0, \xHH, or \\ for itself`)
  }
  const decoded = written.replace(escape, (_all, hex?: string, letter?: string) =>
    hex === undefined
      ? (escapes[(letter as string).toLowerCase()] as string)
      : String.fromCharCode(Number.parseInt(hex, 16)),
  )
  if (decoded.length <= 1_024) return decoded
  throw wrong(written, "is longer than 1024 bytes", "make it shorter")
}

function latin1Text(decoded: string): string {
  return decoded.replace(/[\\\0-\x1f\x7f-\xff]/g, (sign) => {
    const known = Object.entries(escapes).find(([, meant]) => meant === sign)
    return known === undefined ? `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}` : `\\${known[0]}`
  })
}
