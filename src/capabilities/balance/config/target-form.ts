/** Where an app leads: `host:port`, `unix:/path`, `rdv:NAME`, or a map. */

import { isDeepStrictEqual } from "node:util"
import { addressText } from "../target/target.ts"
import { serverName, targetAddress } from "./address-forms.ts"
import { defaultTarget, defaultTargetTls } from "./defaults.ts"
import { described, either, keysOf, readFields, writeFields } from "./form.ts"
import type { Form, Table } from "./form.ts"
import { alpn } from "./listener-form.ts"
import type { TargetAddress, TargetSettings, TargetTls } from "./settings.ts"
import { choice, isOff, number, optional, path, text, truth, unsaid, whole } from "./value-forms.ts"
import { wake } from "./wake-form.ts"

const tlsTable: Table<TargetTls> = {
  serverName: {
    key: "server-name",
    form: unsaid(serverName),
    summary: "Asked for and verified (default: the target's host)",
  },
  ca: { key: "ca", form: unsaid(path), summary: "PEM file with the authority (default: the system's)" },
  verify: { key: "verify", form: truth, summary: "Whether the certificate has to be right" },
  alpn: {
    key: "alpn",
    form: unsaid(alpn),
    summary: "Protocols that are offered (default: what the client agreed on)",
  },
  cert: { key: "cert", form: optional(path), summary: "PEM file with our own certificate" },
  key: { key: "key", form: optional(path), summary: "PEM file with its key" },
}

const targetTls: Form<TargetTls | undefined> = {
  read(value, base) {
    if (isOff(value)) return undefined
    if (value.kind === "boolean") return base ?? defaultTargetTls
    const fields = value.fields(keysOf(tlsTable), { anyCase: true })
    if (fields === undefined) return undefined
    const tls = readFields(tlsTable, fields, base ?? defaultTargetTls)
    if ((tls.cert === undefined) !== (tls.key === undefined)) {
      return value.wrong(`"cert" and "key" go together`, "name both files")
    }
    return tls
  },
  write(value, _base, all) {
    if (value === undefined) return "off"
    const written = writeFields(tlsTable, value, defaultTargetTls, all)
    return Object.keys(written).length === 0 ? true : written
  },
  ...either([{ enum: ["off"] }, { type: "boolean" }], described(tlsTable, defaultTargetTls)),
  placeholder: "true, off, or map",
  optional: true,
}

export type TargetBase = Omit<TargetSettings, "address">

/** Also of what operators say. */
export const mostWeight = 65_535

export const targetTable: Table<TargetBase> = {
  weight: { key: "weight", form: number(0, mostWeight), summary: "Its part of the connections; 0: gets nothing new" },
  priority: { key: "priority", form: whole(0, 100), summary: "0 is used first, the next as far as it is not healthy" },
  zone: { key: "zone", form: optional(text), summary: "Where it is; the balancer's own `zone` is preferred" },
  maxConnections: { key: "max-connections", form: optional(whole(1, 10_000_000)), summary: "It is full with so many" },
  disabled: { key: "disabled", form: truth, summary: "Takes it out" },
  tls: { key: "tls", form: targetTls, summary: "Speaks TLS to it" },
  proxyProtocol: { key: "proxy-protocol", form: choice("off", "v1", "v2"), summary: "Tells it who the client is" },
  warm: { key: "warm", form: whole(0, 1_000), summary: "Connections that stand ready" },
  wake: { key: "wake", form: wake, summary: "Starts it when a connection comes, stops it when it is idle" },
}

interface Address {
  readonly address: TargetAddress | undefined
}

const table: Table<TargetBase & Address> = {
  address: {
    key: "address",
    form: targetAddress as Form<TargetAddress | undefined>,
    summary: "`host:port`, `unix:/path` or `rdv:NAME`",
    required: true,
  },
  ...targetTable,
}

/** `base` holds what the app says for all. */
export const target: Form<TargetSettings> = {
  read(value, base) {
    if (value.kind !== "map") {
      if (value.kind !== "text") return value.text() as undefined
      const address = targetAddress.read(value, base.address)
      return address === undefined ? undefined : { ...base, address }
    }
    const fields = value.fields(keysOf(table), { anyCase: true })
    if (fields === undefined) return undefined
    const { address, ...rest } = readFields<TargetBase & Address>(table, fields, { ...base, address: undefined })
    return address === undefined ? undefined : { ...rest, address }
  },
  write({ address, ...value }, { address: _none, ...base }, all) {
    const text = addressText(address)
    if (!all && isDeepStrictEqual(value, base)) return text
    return { address: text, ...writeFields(targetTable, value, base, all) }
  },
  ...either([{ type: "string", minLength: 1 }], described(table, defaultTarget)),
  placeholder: "ADDRESS, or map",
}

export const noTargetBase: TargetBase = defaultTarget
