/** Makes a scenario of what was said: fills in what was not, and refuses what contradicts itself. */

import { RdvError } from "../../../base/error.ts"
import { parseCondition, parseThreshold } from "../judge/threshold.ts"
import { defaultOf } from "./options.ts"
import { buildPlan } from "./build-plan.ts"
import type { Expectation, HttpPlan, MessagePlan, Pace, Protocol, Scenario, Target, TlsSettings } from "./scenario.ts"
import { refuse } from "./settings.ts"
import type { Given, Resolution, SettingName, Settings, SettingValues } from "./settings.ts"

export interface ScenarioParts {
  /** At least one. */
  readonly targets: readonly Target[]
  readonly settings: Settings
  /** The targets are the ports of Apps. */
  readonly ofApps: boolean
}

/** Throws `usage`. */
export function buildScenario({ targets: bare, settings, ofApps }: ScenarioParts): Scenario {
  const family = familyOf(bare)
  checkFamily(settings, family)
  if (!ofApps) refuse(settings, ["host"], "is for a file of Apps", "leave it out: a target has its own host")
  const targets = resolved(withTls(bare, settings), settings)
  const { model, phases, durationMs } = buildPlan(settings, targets.length, ofApps)
  const labels = targets.map(({ label }) => label)
  checkLabels(settings.fail, (text) => parseThreshold(text, labels))
  checkLabels(settings["stop-when"], (text) => parseCondition(text, labels))
  const count = settings.count?.value
  const plan = messages(settings, family)
  return {
    name: settings.name?.value ?? nameOf(targets, ofApps),
    targets,
    model,
    phases,
    warmUpMs: valueOf(settings, "warm-up"),
    messages: plan,
    framing: valueOf(settings, "framing"),
    expect: expectation(settings, family, plan),
    pace: pace(settings),
    ending: {
      ...(durationMs === undefined ? {} : { durationMs }),
      ...(count === undefined ? {} : { count }),
      stopWhen: settings["stop-when"]?.value ?? [],
      drainMs: valueOf(settings, "drain"),
      timeoutMs: valueOf(settings, "timeout"),
      connectTimeoutMs: valueOf(settings, "connect-timeout"),
    },
    thresholds: settings.fail?.value ?? [],
    seed: valueOf(settings, "seed"),
  }
}

/** What a condition says of one target has to be about one that there is. */
function checkLabels(given: Given<readonly string[]> | undefined, parse: (text: string) => unknown): void {
  for (const text of given?.value ?? []) {
    try {
      parse(text)
    } catch (error) {
      if (!(error instanceof RdvError)) throw error
      const options = error.mend === undefined ? {} : { mend: error.mend }
      throw new RdvError("usage", `${given?.from} ${error.message}`, options)
    }
  }
}

/** Of what was given, else the default. */
function valueOf<Name extends SettingName>(settings: Settings, name: Name): SettingValues[Name] {
  const given = settings[name]
  return given === undefined ? defaultOf(name) : given.value
}

type Family = "stream" | "websocket" | "http"

const families: Readonly<Record<Protocol, Family>> = {
  tcp: "stream",
  tls: "stream",
  unix: "stream",
  http: "http",
  https: "http",
  ws: "websocket",
  wss: "websocket",
}

function familyOf(targets: readonly Target[]): Family {
  const [first, ...others] = targets
  if (first === undefined) {
    throw new RdvError("usage", "No target is named", { mend: "name one, such as tcp://localhost:7000" })
  }
  const family = families[first.protocol]
  const other = others.find(({ protocol }) => families[protocol] !== family)
  if (other === undefined) return family
  throw new RdvError("usage", `${first.label} and ${other.label} want different messages`, {
    mend: "HTTP, WebSocket and plain streams each need a run of their own",
  })
}

const ownMessages = ["message", "hex", "file", "size", "sequence"] as const

function checkFamily(settings: Settings, family: Family): void {
  if (family === "http") {
    refuse(settings, ["message", "hex", "file", "size"], "is not for HTTP", "say what to send with a body")
    if (settings.sequence !== undefined) {
      refuse(settings, ["method", "header", "body"], "is said by each request of the sequence", "leave it out")
    }
    checkEntries(settings, true, 'HTTP wants requests: {"method": "GET", "path": "/"}')
    refuse(settings, ["framing"], "is not for HTTP, which says itself where an answer ends", "leave it out")
    return
  }
  checkEntries(settings, false, 'only HTTP has requests: write {"text": "hello"}')
  refuse(settings, ["method", "header", "body"], "is for HTTP", "leave it out, or name an http:// target")
  if (family === "websocket") {
    refuse(settings, ["framing"], "is not for WebSocket, which says itself where a message ends", "leave it out")
  }
  if (settings.expect?.value.kind === "status") {
    refuse(settings, ["expect"], "wants a status, which only HTTP has", "use echo, any, size:BYTES or /pattern/")
  }
}

function messages(settings: Settings, family: Family): MessagePlan {
  if (family === "http" && settings.sequence === undefined) return httpPlan(settings)
  const [first, second] = ownMessages.map((name) => settings[name]).filter((given) => given !== undefined)
  if (second !== undefined) {
    throw new RdvError("usage", `${second.from} says what to send, and so does ${first?.from}`, {
      mend: "leave one out",
    })
  }
  if (settings.sequence !== undefined) {
    return { kind: "sequence", entries: settings.sequence.value.entries.map(({ request: _, ...entry }) => entry) }
  }
  return first?.value ?? { kind: "text", text: "hello world" }
}

function checkEntries({ sequence }: Settings, request: boolean, mend: string): void {
  const other = sequence?.value.entries.findIndex((entry) => entry.request !== request) ?? -1
  if (other < 0) return
  const what = request ? "a text" : "an HTTP request"
  throw new RdvError("usage", `${sequence?.from} has ${what} as its message ${other + 1}`, { mend })
}

function httpPlan({ method, header, body }: Settings): HttpPlan {
  return {
    kind: "http",
    method: method?.value ?? (body === undefined ? "GET" : "POST"),
    headers: header?.value ?? [],
    ...(body === undefined ? {} : { bodyBase64: body.value }),
  }
}

function expectation({ expect, framing }: Settings, family: Family, plan: MessagePlan): Expectation {
  if (expect === undefined) return family === "http" ? { kind: "status", codes: [] } : { kind: "echo" }
  if (expect.value.kind === "echo") {
    if (plan.kind === "http" && plan.bodyBase64 === undefined) {
      throw new RdvError("usage", `${expect.from} wants the body back, and there is none`, { mend: "give a body" })
    }
    return expect.value
  }
  const fixed = framing?.value.kind === "fixed" ? framing.value.bytes : undefined
  if (expect.value.kind === "size" && fixed !== undefined && fixed !== expect.value.bytes) {
    throw new RdvError("usage", `${expect.from} wants ${expect.value.bytes} bytes, and the framing says ${fixed}`, {
      mend: "make them equal",
    })
  }
  return expect.value
}

function pace(settings: Settings): Pace {
  const { burst, lifetime } = settings
  const keepAlive = settings["no-keep-alive"] === undefined
  if (!keepAlive) {
    const what = "is about connections that are kept, and each message has its own"
    refuse(settings, ["lifetime", "burst"], what, "leave it or no-keep-alive out")
  }
  const [read, write] = [settings["read-rate"], settings["write-rate"]]
  return {
    ...(read === undefined ? {} : { readBytesPerSecond: read.value }),
    ...(write === undefined ? {} : { writeBytesPerSecond: write.value }),
    pauseBeforeMs: valueOf(settings, "pause-before"),
    thinkMs: valueOf(settings, "think"),
    pauseAfterMs: valueOf(settings, "pause-after"),
    ...(burst === undefined ? {} : { burst: burst.value }),
    ...(lifetime === undefined ? {} : { lifetimeMs: lifetime.value }),
    keepAlive,
  }
}

function withTls(targets: readonly Target[], settings: Settings): readonly Target[] {
  const { insecure, ca } = settings
  const serverName = settings["server-name"]
  const isTls = ({ protocol }: Target) => protocol === "tls" || protocol === "https" || protocol === "wss"
  if (!targets.some(isTls)) {
    const what = "is for TLS, and no target has it"
    refuse(
      settings,
      ["insecure", "ca", "server-name"],
      what,
      "leave it out, or name a tls://, https:// or wss:// target",
    )
  }
  if (insecure !== undefined && ca !== undefined) {
    throw new RdvError("usage", `${ca.from} says whom to trust, and ${insecure.from} trusts anybody`, {
      mend: "leave one out",
    })
  }
  if (insecure === undefined && ca === undefined && serverName === undefined) return targets
  const tls: TlsSettings = {
    insecure: insecure !== undefined,
    ...(ca === undefined ? {} : { ca: ca.value }),
    ...(serverName === undefined ? {} : { serverName: serverName.value }),
  }
  return targets.map((target) => (isTls(target) ? { ...target, tls } : target))
}

function resolved(targets: readonly Target[], { resolve }: Settings): readonly Target[] {
  if (resolve === undefined) return targets
  const fits = ({ host, port }: Target, rule: Resolution) =>
    rule.host === host.toLowerCase() && (rule.port === undefined || rule.port === port)
  const idle = resolve.value.find((rule) => !targets.some((target) => fits(target, rule)))
  if (idle !== undefined) {
    const name = idle.port === undefined ? idle.host : `${idle.host}:${idle.port}`
    throw new RdvError("usage", `${resolve.from} has an address for ${name}, which no target names`, {
      mend: "check the name",
    })
  }
  return targets.map((target) => {
    // The one with a port is meant more exactly.
    const rules = resolve.value.filter((rule) => fits(target, rule))
    const rule = rules.find(({ port }) => port !== undefined) ?? rules[0]
    return rule === undefined ? target : { ...target, address: rule.address }
  })
}

function nameOf(targets: readonly Target[], ofApps: boolean): string {
  const [first] = targets
  if (targets.length === 1 && first !== undefined) return first.label
  return ofApps ? `${targets.length} ports` : `${targets.length} targets`
}
