/** The file as a whole: its root keys, its apps, and what is right only for all of them together. */

import { availableParallelism } from "node:os"
import type { ConfigValue } from "../../../config/value.ts"
import { ipAddress, loopbackAddress } from "./address-forms.ts"
import { baseKeys, noAppBase, readApp, readAppBase, writeApp } from "./app-form.ts"
import type { ReadApp } from "./app-form.ts"
import { bandwidth } from "./bandwidth-form.ts"
import { defaultSettings, defaultTracing } from "./defaults.ts"
import { described, either, keysOf, mapForm, readFields, writeFields } from "./form.ts"
import type { Description, Form, Plain, Table } from "./form.ts"
import { readResolveKey } from "./resolve.ts"
import type { Settings, TracingSettings } from "./settings.ts"
import { checkPorts } from "./shared-ports.ts"
import { tiers } from "./tier-form.ts"
import {
  choice,
  duration,
  durationFrom,
  isOff,
  listOf,
  mapOf,
  optional,
  path,
  readText,
  share,
  text,
  truth,
  unsaid,
  whole,
  withoutSecrets,
} from "./value-forms.ts"
import { wrong } from "../../../config/quantity.ts"

const endpoint = readText(
  (written) => {
    const url = URL.parse(written)
    if (url !== null && /^https?:$/.test(url.protocol)) return written
    throw wrong(withoutSecrets(written), "is not the URL of a collector", "write http://127.0.0.1:4318/v1/traces")
  },
  (value) => value,
  "URL",
)

const tracingMap = mapForm<TracingSettings>(
  {
    endpoint: { key: "endpoint", form: endpoint, summary: "Where spans go: OTLP/HTTP with JSON", required: true },
    headers: { key: "headers", form: mapOf(text), summary: "Sent along, for a key" },
    sample: { key: "sample", form: share, summary: "Of the connections" },
  },
  defaultTracing,
)

const tracing: Form<TracingSettings | undefined> = {
  read: (value, base) =>
    isOff(value) ? undefined : tracingMap.read(value, base ?? { ...defaultTracing, endpoint: "" }),
  write: (value, _base, all) =>
    value === undefined ? "off" : tracingMap.write(value, { ...defaultTracing, endpoint: "" }, all),
  ...either([{ enum: ["off", false] }], tracingMap),
  placeholder: "map, off",
  optional: true,
}

const workers: Form<number> = {
  read: (value) =>
    value.kind === "text" && value.read(String) === "auto" ? availableParallelism() : whole(1, 256).read(value, 1),
  write: (value) => value,
  schema: { anyOf: [{ enum: ["auto"] }, whole(1, 256).schema] },
  placeholder: "N, auto",
}

type Root = Omit<Settings, "apps">

const rootTable: Table<Root> = {
  maxConnections: {
    key: "max-connections",
    form: unsaid(whole(1, 10_000_000)),
    summary: "Of all apps together (default: what the limit of descriptors allows)",
  },
  bandwidth: { key: "bandwidth", form: bandwidth, summary: "Of all apps together; clients share it fairly" },
  tiers: { key: "tiers", form: tiers, summary: "Classes of clients; the first that matches counts" },
  zone: { key: "zone", form: optional(text), summary: "Where the balancer is" },
  workers: { key: "workers", form: workers, summary: "Event loops that share the ports; auto: one for each core" },
  drainMs: { key: "drain", form: duration, summary: "How long running connections may take after a stop" },
  resolveMs: {
    key: "resolve-every",
    form: durationFrom(100),
    summary: "Names of targets are looked up again so often",
  },
  resolve: {
    key: "resolve",
    form: mapOf(listOf(ipAddress), readResolveKey),
    summary: "Addresses instead of what a lookup would say: host → address or list of them",
  },
  admin: {
    key: "admin",
    form: mapForm<Settings["admin"]>(
      {
        socket: {
          key: "socket",
          form: truth,
          summary: "A Unix socket for the same user, for `rdv balance target` and the like",
        },
        listen: { key: "listen", form: optional(loopbackAddress), summary: "The same by TCP; wants `token-file`" },
        tokenFile: { key: "token-file", form: optional(path), summary: "A file with the token that TCP wants" },
        metrics: {
          key: "metrics",
          form: optional(loopbackAddress),
          summary: "Serves /metrics there, and nothing else",
        },
      },
      defaultSettings.admin,
    ),
    summary: "Who may look and change",
  },
  log: {
    key: "log",
    form: mapForm<Settings["log"]>(
      {
        connections: {
          key: "connections",
          form: choice("all", "failed", "none"),
          summary: "Which connections are told when they have ended",
        },
      },
      defaultSettings.log,
    ),
    summary: "What is logged",
  },
  tracing: { key: "tracing", form: tracing, summary: "Spans for OpenTelemetry" },
}

export const rootKeys: readonly string[] = ["$schema", "apps", "defaults", ...keysOf(rootTable)]

/** Problems are noted; what is given back is of use when there are none. */
export function readRoot(value: ConfigValue): Settings {
  const fields = value.fields(rootKeys, { anyCase: true })
  if (fields === undefined) return defaultSettings
  fields.get("$schema")?.text()
  const root = readFields(rootTable, fields, { ...defaultSettings })
  if (root.admin.listen !== undefined && root.admin.tokenFile === undefined) {
    fields.get("admin")?.wrong("what listens on TCP wants a token", 'add "token-file"')
  }
  const given = fields.get("defaults")
  const keys = given?.fields(baseKeys, { anyCase: true })
  const defaults = keys === undefined ? noAppBase : readAppBase(keys, noAppBase)
  const apps = named(fields.require("apps")?.list((app) => readApp(app, defaults)) ?? [])
  checkPorts(apps.flatMap(({ settings, listeners }) => listeners.map((one) => ({ ...one, app: settings.name }))))
  return { ...root, apps: apps.map(({ settings }) => settings) }
}

/** The public form has no need for unique names, and we have. */
function named(apps: readonly ReadApp[]): readonly ReadApp[] {
  const taken = new Set(apps.map(({ settings }) => settings.name))
  const seen = new Set<string>()
  const counts = new Map<string, number>()
  return apps.map((app) => {
    const { name } = app.settings
    let unique = name
    let count = counts.get(name) ?? 1
    while (seen.has(unique) || (unique !== name && taken.has(unique))) unique = `${name}#${++count}`
    counts.set(name, count)
    seen.add(unique)
    return { ...app, settings: { ...app.settings, name: unique } }
  })
}

/** As a file would say it. With `all`, defaults are told too. */
export function writeRoot({ apps, ...root }: Settings, all: boolean): { readonly [key: string]: Plain } {
  const { apps: _none, ...usual } = defaultSettings
  return { ...writeFields(rootTable, root, usual, all), apps: apps.map((app) => writeApp(app, all)) }
}

export function describeRoot(): Description {
  return described(rootTable, defaultSettings)
}
