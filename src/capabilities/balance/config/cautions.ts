/**
 * What is no mistake in a file and yet likely to surprise: a port that this user may not open, a certificate that is not
 * there, more connections than the machine can hold.
 */

import { accessSync, constants, readFileSync } from "node:fs"
import { X509Certificate } from "node:crypto"
import { systemClock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { silentLog } from "../../../base/log.ts"
import { readPair } from "../../../certificates/certificate-pair.ts"
import { Access } from "../limit/access.ts"
import { addressText } from "../target/target.ts"
import { listenAddressText } from "./address-forms.ts"
import type { HostFacts } from "./host-facts.ts"
import type { AppSettings, ListenerSettings, Settings, TargetSettings } from "./settings.ts"

export interface Caution {
  /** A note is worth knowing on any machine. */
  readonly level: "warning" | "note"
  /** What it is about: the name of an app, or undefined for the whole file. */
  readonly app: string | undefined
  readonly what: string
  readonly mend: string
}

export interface CautionOptions {
  readonly facts: HostFacts
  /** ms since 1970. */
  readonly wall: number
}

type Tell = (what: string, mend: string, level?: Caution["level"]) => void

/** In the order of the file. Reads the files that the settings name. */
export function cautions(settings: Settings, options: CautionOptions): readonly Caution[] {
  const found: Caution[] = []
  const tellOf =
    (app?: string): Tell =>
    (what, mend, level = "warning") =>
      found.push({ level, app, what, mend })
  overall(settings, options.facts, tellOf())
  const ports = new Set(settings.apps.flatMap(({ listeners }) => listeners.map(({ port }) => port)))
  for (const app of settings.apps) {
    const tell = tellOf(app.name)
    for (const listener of app.listeners) aboutListener(listener, options, tell)
    for (const target of app.targets) aboutTarget(target, ports, tell)
    aboutApp(app, settings, tell)
  }
  return unique(found)
}

function overall({ maxConnections, admin, apps }: Settings, facts: HostFacts, tell: Tell): void {
  const { descriptors } = facts
  // A connection has a socket on each side; a few belong to the process.
  const most = descriptors === undefined ? undefined : Math.max(1, Math.floor((descriptors - 64) / 2))
  if (maxConnections !== undefined && most !== undefined && maxConnections > most) {
    tell(
      `max-connections is ${maxConnections}, and ${descriptors} descriptors are enough for ${most}`,
      `raise the limit: ulimit -n ${maxConnections * 2 + 64}, or LimitNOFILE= of the unit`,
    )
  }
  const ofApps = apps.reduce((sum, { limits }) => sum + (limits.connections ?? Infinity), 0)
  kernelMemory(Math.min(maxConnections ?? Infinity, ofApps), most ?? Infinity, facts, tell)
  if (admin.tokenFile !== undefined) aboutFile("the admin token", admin.tokenFile, tell)
}

/**
 * A side that does not read leaves bytes in two kernel buffers: where we receive them and where we send them. No figure of
 * the process shows these. It is told of numbers that the file wants; without any, every file on every machine would be told
 * of as many connections as there may be descriptors, which says nothing of either.
 */
function kernelMemory(
  wanted: number,
  possible: number,
  { socketBuffers, allSocketBuffers, memory }: HostFacts,
  tell: Tell,
): void {
  if (socketBuffers === undefined || !Number.isFinite(wanted)) return
  const connections = Math.min(wanted, possible)
  const each = socketBuffers.receive + socketBuffers.send
  // Linux gives about as much to TCP, unless somebody said otherwise.
  const most = allSocketBuffers ?? memory / 10
  const limit =
    allSocketBuffers === undefined
      ? `a tenth of the memory is ${amount(most)}`
      : `it gives ${amount(most)} to all of TCP, and then all are slow`
  if (connections * each <= most) return
  tell(
    `${connections} connections with a reader that is stuck could want ${amount(connections * each)} in the kernel, ` +
      `up to ${amount(each)} each; ${limit}`,
    'lower "max-connections", shorten timeouts: slow-reader, or lower the maxima: ' +
      "sysctl -w net.ipv4.tcp_rmem='4096 131072 1048576' net.ipv4.tcp_wmem='4096 16384 1048576'",
    "note",
  )
}

function aboutListener(listener: ListenerSettings, { facts, wall }: CautionOptions, tell: Tell): void {
  const { port, tls, proxyProtocol, proxyFrom } = listener
  const at = String(listenAddressText(listener))
  if (port < facts.firstFreePort) {
    tell(
      `this user may not listen on port ${port}`,
      "give the process CAP_NET_BIND_SERVICE, or take a port from 1024 up",
    )
  }
  if (proxyProtocol !== "off" && proxyFrom.length === 0) {
    tell(`whoever reaches ${at} can claim any address by a PROXY header`, 'name who may send them: "proxy-from"')
  }
  for (const files of tls?.certificates ?? []) {
    const until = attempt(() => readPair(files).until.getTime(), tell)
    if (until !== undefined && until < wall) tell(`the certificate in ${files.cert} has run out`, "renew it")
  }
  if (tls?.clientCa !== undefined) aboutAuthority(tls.clientCa, tell)
}

function aboutTarget({ address, tls }: TargetSettings, ports: ReadonlySet<number>, tell: Tell): void {
  const name = addressText(address)
  if (
    address.kind === "tcp" &&
    ports.has(address.port) &&
    /^(localhost|127\..*|::1|0\.0\.0\.0|::)$/i.test(address.host)
  ) {
    tell(`the target ${name} is a port of this balancer`, "lead to another one, or connections go round in a circle")
  }
  if (tls === undefined) return
  if (!tls.verify) tell(`the certificate of ${name} is not verified`, 'name its authority: "ca"')
  if (tls.ca !== undefined) aboutAuthority(tls.ca, tell)
  if (tls.cert !== undefined && tls.key !== undefined) {
    const files = { cert: tls.cert, key: tls.key }
    attempt(() => readPair(files), tell)
  }
  if (address.kind !== "tcp" && tls.verify && tls.serverName === undefined) {
    tell(`the certificate of ${name} has no name to be verified against`, 'add "server-name"')
  }
}

function aboutApp({ targets, access, timeouts, policy }: AppSettings, settings: Settings, tell: Tell): void {
  if (targets.every(({ disabled, weight }) => disabled || weight === 0)) {
    tell("no target gets connections: each is disabled or has the weight 0", "let at least one serve")
  }
  for (const rule of access.rules) {
    if (rule.file === undefined) continue
    const settings = { rules: [rule], otherwise: access.otherwise }
    attempt(() => new Access({ clock: systemClock, log: silentLog, settings }).stop(), tell)
  }
  const [lastRule] = access.rules.slice(-1)
  if (lastRule?.action === "deny" && access.otherwise === "deny") {
    tell(
      "access: the last rule denies, and whoever no rule names is denied as well",
      "leave the last rule out, or let others in: access: {otherwise: allow, rules: […]}",
    )
  }
  if (timeouts.dialMs < timeouts.connectMs) {
    tell("timeouts: dial is shorter than connect, and ends the first attempt", "make it a multiple of connect")
  }
  if (policy.locality === "zone" && settings.zone === undefined && targets.some(({ zone }) => zone !== undefined)) {
    tell("targets have zones and the balancer has none, so no zone is preferred", 'add "zone" at the top')
  }
}

function aboutAuthority(file: string, tell: Tell): void {
  attempt(() => {
    try {
      return new X509Certificate(text(file))
    } catch (error) {
      if (error instanceof RdvError) throw error
      throw new RdvError("usage", `${file} holds no certificate in PEM`, { mend: "name another file", cause: error })
    }
  }, tell)
}

function text(file: string): string {
  try {
    return readFileSync(file, "utf8")
  } catch (error) {
    const missing = (error as { code?: string }).code === "ENOENT"
    const what = `The file ${file} ${missing ? "does not exist" : "cannot be read"}`
    throw new RdvError("usage", what, { mend: missing ? "check the path" : "check who may read it", cause: error })
  }
}

function aboutFile(of: string, file: string, tell: Tell): void {
  try {
    accessSync(file, constants.R_OK)
  } catch {
    tell(`the file of ${of}, ${file}, cannot be read`, "check the path and who may read it")
  }
}

function attempt<Result>(task: () => Result, tell: Tell): Result | undefined {
  try {
    return task()
  } catch (error) {
    if (!(error instanceof RdvError)) throw error
    tell(error.message.charAt(0).toLowerCase() + error.message.slice(1), error.mend ?? "check it")
    return undefined
  }
}

function unique(all: readonly Caution[]): readonly Caution[] {
  return [...new Map(all.map((one) => [`${one.app}\0${one.what}`, one])).values()]
}

/** `1.5 GiB`. */
function amount(bytes: number): string {
  const [unit, size] = bytes >= 2 ** 30 ? ["GiB", 2 ** 30] : ["MiB", 2 ** 20]
  return `${(bytes / (size as number)).toFixed(1)} ${unit}`
}
