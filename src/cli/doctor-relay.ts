/** The way to a relay, step by step as an agent goes it; the first step that fails ends the walk. */

import { X509Certificate } from "node:crypto"
import { lookup } from "node:dns/promises"
import { request } from "node:http"
import { request as secureRequest } from "node:https"
import { isIP } from "node:net"
import { counted } from "../base/counted.ts"
import { asRdvError } from "../base/error.ts"
import type { RdvError } from "../base/error.ts"
import { silentLog } from "../base/log.ts"
import { startAgent } from "../node.ts"
import type { RunningAgent } from "../node.ts"
import { printHostPort } from "../transport/address.ts"
import type { Address } from "../transport/address.ts"
import { connectSocket } from "../transport/proxy.ts"
import { connectTls, sessionAlpn } from "../transport/tls.ts"
import type { TlsDialLimits } from "../transport/tls.ts"
import type { Finding } from "./doctor-checks.ts"
import { span } from "./uplink-lines.ts"

export interface RelayWalk {
  readonly address: Address
  /** As `startAgent` takes it. */
  readonly relay: string
  readonly token: string | undefined
  readonly tokenInClear: boolean
  readonly dial: Partial<TlsDialLimits>
}

/** For each step, ms. */
const stepMs = 10_000
/** Tokens that expire and certificates are judged by clocks; more than this is worth a word, ms. */
const clockMs = 60_000
const renewDays = 14

export async function* checkRelay(walk: RelayWalk): AsyncGenerator<Finding> {
  const { address } = walk
  const dial = { timeoutMs: stepMs, ...walk.dial }
  if ("host" in address) {
    const steps = [
      () => checkName(address.host, dial),
      () => checkConnection(address, dial),
      () => checkTls(address, dial),
    ]
    for (const step of steps) {
      const finding = await step()
      if (finding === undefined) continue
      yield finding
      if (finding.verdict === "fail") return
    }
    yield await checkClock(address, dial)
  }
  yield* checkSession(walk)
}

async function checkName(host: string, { proxy }: TlsDialLimits): Promise<Finding | undefined> {
  // A proxy resolves names by itself.
  if (isIP(host) !== 0 || host === "" || proxy !== undefined) return undefined
  const check = "name"
  try {
    const found = await lookup(host, { all: true })
    return { check, verdict: "ok", text: `${host} is ${found.map(({ address }) => address).join(", ")}` }
  } catch {
    return { check, verdict: "fail", text: `${host} does not resolve`, mend: "check the spelling, or the name server" }
  }
}

type NetAddress = Extract<Address, { host: string }>

async function checkConnection(address: NetAddress, dial: TlsDialLimits): Promise<Finding> {
  const check = "relay"
  const place = printHostPort(address.host, address.port)
  const started = performance.now()
  try {
    const { socket } = await connectSocket(address, dial)
    socket.on("error", () => undefined)
    socket.destroy()
    return { check, verdict: "ok", text: `${place} takes connections (${span(performance.now() - started)})` }
  } catch (thrown) {
    const mend = "check the address, that the relay runs there, and that no firewall stands between"
    return failed(check, asRdvError(thrown), mend)
  }
}

async function checkTls(address: NetAddress, dial: TlsDialLimits): Promise<Finding | undefined> {
  const { scheme } = address
  if (scheme !== "tls" && scheme !== "https" && scheme !== "wss") return undefined
  const check = "certificate"
  try {
    const socket = await connectTls(address, scheme === "tls" ? sessionAlpn : "http/1.1", dial)
    const certificate = new X509Certificate(socket.getPeerCertificate().raw)
    const protocol = socket.getProtocol() ?? "TLS"
    socket.on("error", () => undefined)
    socket.destroy()
    const days = Math.floor((certificate.validToDate.getTime() - Date.now()) / 86_400_000)
    const text = `${protocol}, trusted, valid for ${counted(days, "more day")}`
    return days >= renewDays
      ? { check, verdict: "ok", text }
      : { check, verdict: "warn", text, mend: "renew the relay's certificate soon" }
  } catch (thrown) {
    return failed(check, asRdvError(thrown), "trust its authority with --ca, or its certificate with --pin")
  }
}

/** Compares with the `Date` of the relay's answer (RFC 9110 section 6.6.1). */
async function checkClock(address: NetAddress, dial: TlsDialLimits): Promise<Finding> {
  const check = "clock"
  const theirs = dial.proxy === undefined ? await dateOf(address, dial) : undefined
  if (theirs === undefined) {
    return { check, verdict: "ok", text: `${new Date().toISOString()}; the relay did not tell its own time` }
  }
  const apartMs = Math.abs(Date.now() - theirs)
  if (apartMs <= clockMs) return { check, verdict: "ok", text: "this machine and the relay agree on the time" }
  return {
    check,
    verdict: "warn",
    text: `this machine and the relay are ${span(apartMs)} apart`,
    mend: "let both get their time from the network (NTP)",
  }
}

function dateOf({ scheme, host, port }: NetAddress, dial: TlsDialLimits): Promise<number | undefined> {
  return new Promise((resolve) => {
    const secure = scheme === "tls" || scheme === "https" || scheme === "wss"
    const options = { host: host === "" ? "localhost" : host, port, path: "/", agent: false as const, timeout: 3_000 }
    // Trust was judged before; here only a time is read.
    const asking = secure
      ? secureRequest({
          ...options,
          rejectUnauthorized: false,
          ...(dial.servername && { servername: dial.servername }),
        })
      : request(options)
    asking.on("response", (answer) => {
      const date = Date.parse(answer.headers.date ?? "")
      resolve(Number.isNaN(date) ? undefined : date)
      asking.destroy()
    })
    asking.on("timeout", () => asking.destroy(new Error("no answer")))
    asking.on("error", () => resolve(undefined))
    asking.end()
  })
}

/** Opens a session and leaves at once: what this says holds for `rdv http` too. */
async function* checkSession(walk: RelayWalk): AsyncGenerator<Finding> {
  const over = Promise.withResolvers<RdvError | undefined>()
  const started = performance.now()
  let agent: RunningAgent | undefined
  try {
    agent = startAgent({
      relay: walk.relay,
      token: walk.token,
      tokenInClear: walk.tokenInClear,
      dial: walk.dial,
      log: silentLog,
      onEvent: (event) => {
        if (event.kind === "up") over.resolve(undefined)
        if (event.kind === "retry" || event.kind === "failed") over.resolve(event.error)
      },
    })
    const timer = setTimeout(() => over.resolve(asRdvError(new Error("no answer to the handshake"), "timeout")), stepMs)
    const error = await over.promise
    clearTimeout(timer)
    const speaks = { check: "protocol", verdict: "ok", text: "it speaks rdv/1" } as const
    if (error === undefined) {
      yield speaks
      const text = walk.token === undefined ? "the relay lets agents in without one" : "the relay takes it"
      yield { check: "token", verdict: "ok", text: `${text} (session after ${span(performance.now() - started)})` }
    } else if (error.origin === "remote" && error.code !== "protocol" && error.code !== "version") {
      yield speaks
      yield failed("token", error, "make one on the relay with rdv token new")
    } else yield failed("protocol", error, "check the port: something else may listen there, or a proxy stands between")
  } catch (thrown) {
    yield failed("token", asRdvError(thrown), "see rdv doctor --help")
  } finally {
    await agent?.stop(0)
  }
}

function failed(check: string, error: RdvError, mend: string): Finding {
  return { check, verdict: "fail", text: error.message, mend: error.mend ?? mend }
}
