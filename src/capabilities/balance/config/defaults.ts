/** What holds where a file says nothing: said once, for the reader, the writer and the manual. */

import type {
  AppSettings,
  HealthSettings,
  KeepAliveSettings,
  ListenerSettings,
  ListenerTls,
  Settings,
  TargetSettings,
  TargetTls,
  TierSettings,
  TracingSettings,
  WakeSettings,
} from "./settings.ts"

const seconds = 1_000
const minutes = 60_000
const unlimited = { up: undefined, down: undefined } as const

export const defaultSettings: Settings = {
  apps: [],
  tiers: [],
  maxConnections: undefined,
  bandwidth: unlimited,
  zone: undefined,
  workers: 1,
  drainMs: 30 * seconds,
  resolveMs: 30 * seconds,
  resolve: {},
  admin: { socket: true, listen: undefined, tokenFile: undefined, metrics: undefined },
  log: { connections: "failed" },
  tracing: undefined,
}

export type AppDefaults = Omit<AppSettings, "name" | "listeners" | "targets">

export const defaultApp: AppDefaults = {
  policy: { kind: "round-robin", bound: undefined, spillBelow: 0.7, locality: "zone" },
  slowStartMs: 0,
  health: undefined,
  // Resets are as easily provoked by a client as made by a target that is ill: they count when the file says so.
  outlier: {
    connectFailures: 3,
    earlyResets: 0,
    ejectMs: 5 * seconds,
    maxEjectMs: 5 * minutes,
    maxEjected: 0.8,
    panicBelow: 0,
  },
  breaker: {
    maxPending: undefined,
    failureRate: undefined,
    minDials: 20,
    windowMs: 10 * seconds,
    openMs: 10 * seconds,
  },
  // A client fails only when there is nobody who could serve it.
  retry: { attempts: 10, budget: undefined },
  limits: {
    connections: undefined,
    perClient: undefined,
    newPerSecond: undefined,
    newPerClientPerSecond: undefined,
    queue: 0,
    queueMs: 10 * seconds,
    clientPrefix: { ipv4: 32, ipv6: 64 },
  },
  bandwidth: { connection: unlimited, client: unlimited, app: unlimited },
  timeouts: {
    connectMs: 4 * seconds,
    dialMs: 15 * seconds,
    idleMs: 60 * minutes,
    halfClosedMs: 60 * seconds,
    lifetimeMs: undefined,
    firstByteMs: undefined,
    answerMs: undefined,
    prefaceMs: 10 * seconds,
    slowReaderMs: 10 * minutes,
  },
  keepAlive: { idleMs: 60 * seconds },
  noDelay: true,
  whenDown: "accept",
  access: { rules: [], otherwise: "allow" },
  onRemoved: "keep",
  onDown: "keep",
  removedDrainMs: 30 * seconds,
}

export const defaultKeepAlive: KeepAliveSettings = { idleMs: 60 * seconds }

export const defaultListener: Omit<ListenerSettings, "port"> = {
  host: undefined,
  serverNames: [],
  tls: undefined,
  proxyProtocol: "off",
  proxyFrom: [],
  backlog: 511,
}

export const defaultListenerTls: ListenerTls = {
  certificates: [],
  clientCa: undefined,
  clientCertificate: "none",
  alpn: [],
  minVersion: "TLSv1.2",
}

export const defaultTarget: Omit<TargetSettings, "address"> = {
  weight: 1,
  priority: 0,
  zone: undefined,
  maxConnections: undefined,
  disabled: false,
  tls: undefined,
  proxyProtocol: "off",
  warm: 0,
  wake: undefined,
}

export const defaultTargetTls: TargetTls = {
  serverName: undefined,
  ca: undefined,
  verify: true,
  alpn: undefined,
  cert: undefined,
  key: undefined,
}

export const defaultHealth: HealthSettings = {
  check: { kind: "tcp" },
  intervalMs: 5 * seconds,
  downIntervalMs: 5 * seconds,
  jitter: 0.1,
  timeoutMs: 2 * seconds,
  rise: 2,
  fall: 3,
  port: undefined,
}

export const defaultWake: Omit<WakeSettings, "how"> = {
  env: {},
  ready: { kind: "tcp" },
  idleMs: 5 * minutes,
  timeoutMs: 30 * seconds,
  stopMs: 10 * seconds,
  queue: 1_000,
}

export const defaultTier: Omit<TierSettings, "name"> = {
  bandwidth: { connection: unlimited, client: unlimited },
  weight: 1,
  match: { addresses: [], serverNames: [], ports: [], certificates: [], tokens: [] },
}

export const defaultTracing: Omit<TracingSettings, "endpoint"> = { headers: {}, sample: 1 }
