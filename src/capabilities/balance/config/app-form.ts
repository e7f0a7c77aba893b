/** One app of a file: what `defaults` may say for all of them, and its own name, ports and targets. */

import { isDeepStrictEqual } from "node:util"
import type { JsonObject } from "../../../base/json.ts"
import type { ConfigFields, ConfigValue } from "../../../config/value.ts"
import { access } from "./access-form.ts"
import { bandwidth } from "./bandwidth-form.ts"
import { defaultApp, defaultKeepAlive } from "./defaults.ts"
import type { AppDefaults } from "./defaults.ts"
import { described, either, keysOf, mapForm, readFields, writeFields } from "./form.ts"
import type { Description, Form, Plain, Table } from "./form.ts"
import { health } from "./health-form.ts"
import { listener, listenerTable, noListenerBase, plainPorts, sharedOf } from "./listener-form.ts"
import type { ListenerBase, ListenerPlace } from "./listener-form.ts"
import type {
  AppSettings,
  KeepAliveSettings,
  LimitSettings,
  OutlierSettings,
  PolicySettings,
  RetrySettings,
  TargetSettings,
} from "./settings.ts"
import { addressText } from "../target/target.ts"
import { noTargetBase, target, targetTable } from "./target-form.ts"
import type { TargetBase } from "./target-form.ts"
import { choice, duration, durationFrom, isOff, number, optional, rate, share, truth, whole } from "./value-forms.ts"

const many = 10_000_000
const time = durationFrom(1)

const policyMap = mapForm<PolicySettings>(
  {
    kind: {
      key: "kind",
      form: choice("round-robin", "random", "least-connections", "peak-ewma", "hash"),
      summary: "How a target is chosen",
    },
    bound: {
      key: "bound",
      form: optional(number(1, 100)),
      summary: "hash: a target gets at most so many times its share of the connections",
    },
    spillBelow: {
      key: "spill-below",
      form: share,
      summary: "With a smaller share of healthy targets than this, the next priority helps out",
    },
    locality: {
      key: "locality",
      form: choice("off", "zone", "rtt"),
      summary: "Prefers targets of the balancer's `zone`, or near ones by measured round trip",
    },
  },
  defaultApp.policy,
)

const policy: Form<PolicySettings> = {
  ...orWord(
    policyMap,
    (kind, base) => ({ ...base, kind }),
    ({ kind }) => kind,
    ["round-robin", "random", "least-connections", "peak-ewma", "hash"],
  ),
  placeholder: "round-robin, random, least-connections, peak-ewma, hash, or map",
}

const outlierMap = mapForm<OutlierSettings>(
  {
    connectFailures: {
      key: "connect-failures",
      form: whole(0, 1_000),
      summary: "So many failed connects in a row eject a target; 0: never",
    },
    earlyResets: {
      key: "early-resets",
      form: whole(0, 1_000),
      summary: "So many connections in a row that it reset before its first byte; 0: never",
    },
    ejectMs: { key: "eject", form: time, summary: "For how long; doubles each time" },
    maxEjectMs: { key: "max-eject", form: time, summary: "… up to this" },
    maxEjected: { key: "max-ejected", form: share, summary: "Of the app's targets, at once" },
    panicBelow: {
      key: "panic-below",
      form: share,
      summary: "With a smaller share of usable targets than this, health is ignored; 0%: never",
    },
  },
  defaultApp.outlier,
)

const outlier: Form<OutlierSettings> = {
  read(value, base) {
    if (isOff(value)) return { ...base, connectFailures: 0, earlyResets: 0 }
    const read = outlierMap.read(value, base)
    if (read !== undefined && read.maxEjectMs < read.ejectMs) {
      return value.wrong(`"max-eject" is shorter than "eject"`, "make it longer")
    }
    return read
  },
  write: (value, base, all) => outlierMap.write(value, base, all),
  ...either([{ enum: ["off", false] }], outlierMap),
  placeholder: "map, off",
}

const retryMap = mapForm<RetrySettings>(
  {
    attempts: { key: "attempts", form: whole(0, 100), summary: "Further targets that are tried when a dial fails" },
    budget: {
      key: "budget",
      form: optional(share),
      summary: "Retries may be at most this share of all dials; 10 per second are always allowed",
    },
  },
  defaultApp.retry,
)

const retries: Form<RetrySettings> = {
  read: (value, base) => {
    if (value.kind === "map") return retryMap.read(value, base)
    const attempts = value.number({ least: 0, most: 100, whole: true })
    return attempts === undefined ? undefined : { ...base, attempts }
  },
  write: (value, base, all) =>
    !all && value.budget === base.budget ? value.attempts : retryMap.write(value, base, all),
  ...either([{ type: "integer", minimum: 0, maximum: 100 }], retryMap),
  placeholder: "N, or map",
}

const limits = mapForm<LimitSettings>(
  {
    connections: { key: "connections", form: optional(whole(1, many)), summary: "Of the app" },
    perClient: { key: "per-client", form: optional(whole(1, many)), summary: "Of one client" },
    newPerSecond: {
      key: "new",
      form: optional(rate),
      summary: "New connections of the app, with bursts of one second",
    },
    newPerClientPerSecond: { key: "new-per-client", form: optional(rate), summary: "The same of one client" },
    queue: {
      key: "queue",
      form: whole(0, 1_000_000),
      summary: "How many may wait when the app or all targets are full",
    },
    queueMs: { key: "queue-timeout", form: time, summary: "… and how long" },
    clientPrefix: {
      key: "client-prefix",
      form: mapForm<LimitSettings["clientPrefix"]>(
        {
          ipv4: { key: "ipv4", form: whole(1, 32), summary: "Bits of an IPv4 address that make one client" },
          ipv6: { key: "ipv6", form: whole(1, 128), summary: "Bits of an IPv6 address that make one client" },
        },
        defaultApp.limits.clientPrefix,
      ),
      summary: "What counts as one client",
    },
  },
  defaultApp.limits,
)

const keepAlive: Form<KeepAliveSettings | undefined> = {
  read(value) {
    if (isOff(value)) return undefined
    const idleMs = durationFrom(1_000).read(value, defaultKeepAlive.idleMs)
    return idleMs === undefined ? undefined : { idleMs }
  },
  write: (value) => (value === undefined ? "off" : (duration.write(value.idleMs, 0, false) as Plain)),
  schema: optional(duration).schema,
  placeholder: "TIME, off",
  optional: true,
}

const commonTable: Table<AppDefaults> = {
  policy: { key: "policy", form: policy, summary: "How a target is chosen" },
  slowStartMs: {
    key: "slow-start",
    form: duration,
    summary: "A target that comes (back) gets its full share after so long",
  },
  health: { key: "health", form: health, summary: "Tries the targets from time to time" },
  outlier: { key: "outlier", form: outlier, summary: "Leaves out targets that fail clients" },
  breaker: {
    key: "breaker",
    form: mapForm<AppSettings["breaker"]>(
      {
        maxPending: { key: "max-pending", form: optional(whole(1, many)), summary: "Dials to one target at once" },
        failureRate: {
          key: "failure-rate",
          form: optional(share),
          summary: "A target with more failed dials is left out",
        },
        minDials: { key: "min-dials", form: whole(1, many), summary: "… of at least so many" },
        windowMs: { key: "window", form: durationFrom(100), summary: "… within this time" },
        openMs: { key: "open", form: time, summary: "After so long one dial tries it out" },
      },
      defaultApp.breaker,
    ),
    summary: "Opens the circuit to a target that fails",
  },
  retry: { key: "retries", form: retries, summary: "Further targets that are tried when a dial fails" },
  limits: { key: "limits", form: limits, summary: "How many connections" },
  bandwidth: {
    key: "bandwidth",
    form: mapForm<AppSettings["bandwidth"]>(
      {
        connection: { key: "connection", form: bandwidth, summary: "Of each connection" },
        client: { key: "client", form: bandwidth, summary: "Of each client with all its connections" },
        app: { key: "app", form: bandwidth, summary: "Of the app; its clients share it fairly" },
      },
      defaultApp.bandwidth,
    ),
    summary: "How many bytes per second",
  },
  timeouts: {
    key: "timeouts",
    form: mapForm<AppSettings["timeouts"]>(
      {
        connectMs: { key: "connect", form: time, summary: "One attempt to reach a target" },
        dialMs: { key: "dial", form: time, summary: "All attempts, and the wait for a target" },
        idleMs: { key: "idle", form: optional(time), summary: "No byte either way" },
        halfClosedMs: { key: "half-closed", form: time, summary: "No byte either way, after one side has ended" },
        lifetimeMs: { key: "lifetime", form: optional(time), summary: "A connection in all" },
        firstByteMs: {
          key: "first-byte",
          form: optional(time),
          summary: "Until the client's first byte; not for protocols in which the server speaks first",
        },
        answerMs: { key: "answer", form: optional(time), summary: "Until the target's first byte" },
        prefaceMs: { key: "preface", form: time, summary: "PROXY header, server name and TLS handshake together" },
        slowReaderMs: {
          key: "slow-reader",
          form: optional(time),
          summary: "Bytes wait for one side, and it takes none",
        },
      },
      defaultApp.timeouts,
    ),
    summary: "What may take how long",
  },
  keepAlive: { key: "keep-alive", form: keepAlive, summary: "Silence before TCP asks whether the other side is there" },
  noDelay: { key: "no-delay", form: truth, summary: "Sends small pieces at once (TCP_NODELAY)" },
  whenDown: {
    key: "when-down",
    form: choice("accept", "hold", "refuse"),
    summary: "While no target can be reached: resets who comes, lets them wait up to dial, or stops listening",
  },
  access: { key: "access", form: access, summary: "Who may connect; the first rule that matches counts" },
  onRemoved: {
    key: "removed",
    form: choice("keep", "drain", "cut"),
    summary: "What happens to connections of a target that leaves the file",
  },
  removedDrainMs: { key: "drain", form: duration, summary: "How long `removed: drain` waits" },
  onDown: {
    key: "down",
    form: choice("keep", "cut"),
    summary: "What happens to connections of a target that goes down",
  },
}

/** What `defaults` may hold, and each app. */
export interface AppBase {
  readonly common: AppDefaults
  readonly listener: ListenerBase
  readonly target: TargetBase
}

export const noAppBase: AppBase = { common: defaultApp, listener: noListenerBase, target: noTargetBase }

const eachTarget = mapForm<TargetBase>(targetTable, noTargetBase)
const ownKeys = ["name", "ports", "listen", "targets"] as const
const eachTargetSummary = "Keys of targets that hold for all of the app"

export const baseKeys: readonly string[] = [...keysOf(commonTable), ...keysOf(listenerTable), "each-target"]
const appKeys: readonly string[] = [...ownKeys, ...baseKeys]

export function readAppBase(fields: ConfigFields<string>, base: AppBase): AppBase {
  const each = fields.get("each-target")
  return {
    common: readFields(commonTable, fields, base.common),
    listener: readFields(listenerTable, fields, base.listener),
    target: (each === undefined ? undefined : eachTarget.read(each, base.target)) ?? base.target,
  }
}

export interface ReadApp {
  readonly settings: AppSettings
  readonly listeners: readonly ListenerPlace[]
}

export function readApp(value: ConfigValue, defaults: AppBase): ReadApp | undefined {
  const fields = value.fields(appKeys, { anyCase: true })
  if (fields === undefined) return undefined
  const name = fields.require("name")?.text()
  const base = readAppBase(fields, defaults)
  const listeners = readListeners(fields, base.listener)
  const targets = readTargets(fields, base.target)
  if (name === undefined || targets === undefined || listeners === undefined) return undefined
  const settings = { name, listeners: listeners.map((one) => one.listener), targets, ...base.common }
  return { settings, listeners }
}

function readListeners(fields: ConfigFields<string>, shared: ListenerBase): readonly ListenerPlace[] | undefined {
  const [ports, listen] = [fields.get("ports"), fields.get("listen")]
  if (ports === undefined && listen === undefined) return fields.require("ports") as undefined
  const base = { ...shared, host: undefined, port: 0 }
  const plain = ports?.oneOrMore((value): ListenerPlace | undefined => {
    const port = whole(1, 65_535).read(value, 0)
    return port === undefined ? undefined : { listener: { ...base, port }, value }
  })
  const others = listen?.oneOrMore((value): ListenerPlace | undefined => {
    const read = listener.read(value, base)
    return read === undefined ? undefined : { listener: read, value }
  })
  return [...(plain ?? []), ...(others ?? [])]
}

function readTargets(fields: ConfigFields<string>, base: TargetBase): AppSettings["targets"] | undefined {
  const found = new Map<string, TargetSettings>()
  const read = fields.require("targets")?.oneOrMore((value) => {
    const one = target.read(value, { ...base, address: { kind: "tcp", host: "", port: 0 } })
    if (one === undefined) return undefined
    const name = addressText(one.address)
    const before = found.get(name)
    // The public form may name a target twice: then it gets twice as much.
    const weight = one.weight + (before?.weight ?? 0)
    if (before !== undefined && !isDeepStrictEqual({ ...one, weight }, { ...before, weight })) {
      return value.wrong(`the target ${name} is already there, and otherwise`, "leave one out")
    }
    found.set(name, { ...one, weight })
    return one
  })
  return read === undefined ? undefined : [...found.values()]
}

export function writeApp(app: AppSettings, all: boolean): { [key: string]: Plain } {
  const { name, listeners, targets, ...common } = app
  const [first] = listeners
  const shared = first !== undefined && listeners.every((one) => isDeepStrictEqual(sharedOf(one), sharedOf(first)))
  const base = shared ? sharedOf(first) : noListenerBase
  const ports = plainPorts(shared ? listeners.map((one) => ({ ...one, ...noListenerBase })) : listeners)
  const listenerBase = { ...base, host: undefined, port: 0 }
  const targetBase = { ...noTargetBase, address: { kind: "tcp", host: "", port: 0 } as const }
  return {
    name,
    ...(ports === undefined
      ? { listen: listeners.map((one) => listener.write(one, listenerBase, false) as Plain) }
      : { ports }),
    ...(shared ? writeFields(listenerTable, base, noListenerBase, all) : {}),
    targets: targets.map((one) => target.write(one, targetBase, all) as Plain),
    ...writeFields(commonTable, common, defaultApp, all),
  }
}

/** What `defaults` and apps may say. */
export function describeBase(): Description {
  const [common, shared] = [described(commonTable, defaultApp), described(listenerTable, noListenerBase)]
  const each = { description: eachTargetSummary, ...eachTarget.schema }
  return {
    schema: {
      ...(common.schema["properties"] as JsonObject),
      ...(shared.schema["properties"] as JsonObject),
      "each-target": each,
    },
    keys: [...common.keys, ...shared.keys],
  }
}

/** A map, or one word that stands for it. */
function orWord<Value, Word extends string>(
  form: Form<Value>,
  from: (word: Word, base: Value) => Value,
  to: (value: Value) => Word,
  words: readonly Word[],
): Form<Value> {
  return {
    read(value, base) {
      if (value.kind === "map") return form.read(value, base)
      const word = value.choice(words)
      return word === undefined ? undefined : from(word, base)
    },
    write(value, base, all) {
      return !all && isDeepStrictEqual(from(to(value), base), value) ? to(value) : form.write(value, base, all)
    },
    ...either([{ enum: words }], form),
    placeholder: `${form.placeholder}, or word`,
  }
}
