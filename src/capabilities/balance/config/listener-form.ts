/** What an app listens on: a port, `host:port`, or a map. What all of an app's listeners share may stand at the app. */

import { isDeepStrictEqual } from "node:util"
import type { ConfigValue } from "../../../config/value.ts"
import { listenAddressText, network, readListenAddress, serverName } from "./address-forms.ts"
import { defaultListener, defaultListenerTls } from "./defaults.ts"
import { described, either, keysOf, mapForm, readFields, writeFields } from "./form.ts"
import type { Form, Plain, Table } from "./form.ts"
import type { ListenerSettings, ListenerTls } from "./settings.ts"
import { choice, isOff, listOf, optional, path, readText, text, whole } from "./value-forms.ts"

type Pair = ListenerTls["certificates"][number]
type Alpn = ListenerTls["alpn"]

const pair = mapForm<Pair>({
  cert: { key: "cert", form: path, summary: "PEM file with the certificate and those above it", required: true },
  key: { key: "key", form: path, summary: "PEM file with its key", required: true },
})

export const alpn: Form<Alpn> = listOf(text)

interface FlatTls extends ListenerTls {
  readonly cert: string | undefined
  readonly key: string | undefined
}

const tlsTable: Table<FlatTls> = {
  cert: { key: "cert", form: optional(path), summary: "PEM file with the certificate and those above it" },
  key: { key: "key", form: optional(path), summary: "PEM file with its key" },
  certificates: { key: "certificates", form: listOf(pair), summary: "Several, of which the server name decides" },
  clientCa: { key: "client-ca", form: optional(path), summary: "PEM file with the authority of clients' certificates" },
  clientCertificate: {
    key: "client-certificate",
    form: choice("none", "optional", "require"),
    summary: "Whether clients show one; `require` with `client-ca`",
  },
  alpn: { key: "alpn", form: alpn, summary: "Protocols that are offered, best first" },
  minVersion: { key: "min-version", form: choice("TLSv1.2", "TLSv1.3"), summary: "The oldest TLS that is taken" },
}

const noFlatTls: FlatTls = { ...defaultListenerTls, cert: undefined, key: undefined }

const listenerTls: Form<ListenerTls | undefined> = {
  read(value, base) {
    if (isOff(value)) return undefined
    const fields = value.fields(keysOf(tlsTable), { anyCase: true })
    if (fields === undefined) return undefined
    const { cert, key, ...tls } = readFields(tlsTable, fields, { ...noFlatTls, ...base })
    if ((cert === undefined) !== (key === undefined)) {
      return value.wrong(`"cert" and "key" go together`, "name both files")
    }
    const own = cert === undefined || key === undefined ? [] : [{ cert, key }]
    const certificates =
      own.length > 0 && fields.get("certificates") === undefined ? own : [...own, ...tls.certificates]
    if (certificates.length === 0) return value.wrong("there is no certificate", 'add "cert" and "key"')
    const said = fields.get("client-certificate")
    if (said === undefined && tls.clientCa !== undefined && base?.clientCa === undefined) {
      return { ...tls, certificates, clientCertificate: "require" }
    }
    if (tls.clientCertificate !== "none" && tls.clientCa === undefined) {
      return (said ?? value).wrong("clients' certificates need an authority", 'add "client-ca"')
    }
    return { ...tls, certificates }
  },
  write(value, _base, all) {
    if (value === undefined) return "off"
    const [only, ...more] = value.certificates
    const single = more.length === 0 ? only : undefined
    const flat = { ...noFlatTls, ...value, ...single, certificates: single === undefined ? value.certificates : [] }
    const written = writeFields(tlsTable, flat, noFlatTls, all)
    // It would be meant otherwise.
    if (value.clientCa !== undefined) written["client-certificate"] = value.clientCertificate
    return written
  },
  ...either([{ enum: ["off", false] }], described(tlsTable, noFlatTls)),
  placeholder: "map, off",
  optional: true,
}

/** What all listeners of an app may share. */
export type ListenerBase = Omit<ListenerSettings, "host" | "port">

export const noListenerBase: ListenerBase = {
  serverNames: defaultListener.serverNames,
  tls: defaultListener.tls,
  proxyProtocol: defaultListener.proxyProtocol,
  proxyFrom: defaultListener.proxyFrom,
  backlog: defaultListener.backlog,
}

export const listenerTable: Table<ListenerBase> = {
  serverNames: {
    key: "server-names",
    form: listOf(serverName),
    summary: "Takes only connections for these names (SNI), so that apps can share a port",
  },
  tls: { key: "tls", form: listenerTls, summary: "Ends TLS here; without it bytes pass as they are" },
  proxyProtocol: {
    key: "proxy-protocol",
    form: choice("off", "optional", "require"),
    summary: "Reads a PROXY header (v1, v2) that says who the client is",
  },
  proxyFrom: { key: "proxy-from", form: listOf(network), summary: "Whose PROXY headers count; none: everybody's" },
  backlog: {
    key: "backlog",
    form: whole(1, 65_535),
    summary: "Connections that the kernel keeps until they are taken",
  },
}

interface Address {
  readonly address: { readonly host: string | undefined; readonly port: number } | undefined
}

const address = readText(readListenAddress, listenAddressText, "PORT, HOST:PORT", {
  type: ["string", "integer"],
  minimum: 1,
  maximum: 65_535,
  minLength: 1,
})

const table: Table<ListenerBase & Address> = {
  address: {
    key: "address",
    form: address as Form<Address["address"]>,
    summary: "A port on all addresses, or one address of this machine with a port",
    required: true,
  },
  ...listenerTable,
}

/** Without `host` and `port` `base` holds what the app says for all. */
export const listener: Form<ListenerSettings> = {
  read(value, base) {
    if (value.kind !== "map") {
      const found = address.read(value, base)
      return found === undefined ? undefined : { ...base, ...found }
    }
    const fields = value.fields(keysOf(table), { anyCase: true })
    if (fields === undefined) return undefined
    const { address: found, ...rest } = readFields(table, fields, { ...sharedOf(base), address: undefined })
    if (rest.proxyFrom.length > 0 && rest.proxyProtocol === "off") {
      fields.get("proxy-from")?.wrong("PROXY headers are not read here", 'add "proxy-protocol: require"')
    }
    return found === undefined ? undefined : { ...found, ...rest }
  },
  write(value, base, all) {
    if (!all && isDeepStrictEqual(sharedOf(value), sharedOf(base))) return listenAddressText(value)
    return { address: listenAddressText(value), ...writeFields(listenerTable, sharedOf(value), sharedOf(base), all) }
  },
  ...either([address.schema], described(table, noListenerBase)),
  placeholder: "PORT, HOST:PORT, or map",
}

export function sharedOf({ serverNames, tls, proxyProtocol, proxyFrom, backlog }: ListenerBase): ListenerBase {
  return { serverNames, tls, proxyProtocol, proxyFrom, backlog }
}

/** Ports alone, when that is all there is to say. */
export function plainPorts(listeners: readonly ListenerSettings[]): readonly Plain[] | undefined {
  const plain = listeners.every(
    (one) => one.host === undefined && isDeepStrictEqual(sharedOf(one), sharedOf(noListenerBase)),
  )
  return plain ? listeners.map(({ port }) => port) : undefined
}

export type ListenerPlace = { readonly listener: ListenerSettings; readonly value: ConfigValue }
