/**
 * What a balancer does, with every default filled in: the effective configuration. It is plain data without functions or
 * class instances, so that it can be compared, printed, and handed to a worker. Times are ms, amounts bytes, rates bytes/s;
 * undefined means "no limit" or "not wanted".
 */

import type { HostPort } from "../../../config/host-port.ts"

export interface Settings {
  readonly apps: readonly AppSettings[]
  /** Classes of clients with a bandwidth of their own, in the order of the file: the first that matches counts. */
  readonly tiers: readonly TierSettings[]
  /** Of all apps together. Default: what the limit of descriptors allows. */
  readonly maxConnections: number | undefined
  /** Shared fairly by all clients of all apps. */
  readonly bandwidth: Bandwidth
  /** Our own zone; targets of the same one are preferred. */
  readonly zone: string | undefined
  /** Event loops that share the ports. */
  readonly workers: number
  /** How long running connections may take after a stop. */
  readonly drainMs: number
  /** Names are looked up again so often. */
  readonly resolveMs: number
  /** `host` → addresses that stand in for what its lookup would say. */
  readonly resolve: Readonly<Record<string, readonly string[]>>
  readonly admin: AdminSettings
  readonly log: LogSettings
  readonly tracing: TracingSettings | undefined
}

export interface AppSettings {
  /** Unique. */
  readonly name: string
  readonly listeners: readonly ListenerSettings[]
  readonly targets: readonly TargetSettings[]
  readonly policy: PolicySettings
  /** A target that comes (back) gets its full share after so long. */
  readonly slowStartMs: number
  readonly health: HealthSettings | undefined
  readonly outlier: OutlierSettings
  readonly breaker: BreakerSettings
  readonly retry: RetrySettings
  readonly limits: LimitSettings
  readonly bandwidth: BandwidthSettings
  readonly timeouts: TimeoutSettings
  readonly keepAlive: KeepAliveSettings | undefined
  readonly noDelay: boolean
  /**
   * While no target can be reached: `accept` takes the client's bytes and closes when the dial budget is over; `hold` takes
   * the connection and leaves its bytes in the kernel until a target is there or the budget is over; `refuse` stops
   * listening while no target is up.
   */
  readonly whenDown: "accept" | "hold" | "refuse"
  /** First match counts; without a match, `otherwise`. */
  readonly access: AccessSettings
  /** Running connections of a target that is removed or goes down. */
  readonly onRemoved: "keep" | "drain" | "cut"
  readonly onDown: "keep" | "cut"
  /** Spelled `drain`: how long `onRemoved: drain` waits. */
  readonly removedDrainMs: number
}

export interface ListenerSettings {
  /** Undefined: all addresses, IPv6 and IPv4. */
  readonly host: string | undefined
  readonly port: number
  /** Server names (`shop.test`, `*.shop.test`) that this app takes on a port that several share; empty: all others. */
  readonly serverNames: readonly string[]
  /** Undefined: bytes pass as they are. */
  readonly tls: ListenerTls | undefined
  /** `require` refuses connections without a header; `optional` takes both, so only trusted senders may reach the port. */
  readonly proxyProtocol: "off" | "optional" | "require"
  /** Whose PROXY headers count; empty: everybody's. */
  readonly proxyFrom: readonly string[]
  readonly backlog: number
}

export interface ListenerTls {
  readonly certificates: readonly { readonly cert: string; readonly key: string }[]
  /** PEM file; with it clients must show a certificate (`require`) or may (`optional`). */
  readonly clientCa: string | undefined
  readonly clientCertificate: "none" | "optional" | "require"
  readonly alpn: readonly string[]
  readonly minVersion: "TLSv1.2" | "TLSv1.3"
}

export type TargetAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
  /** A private service of agents, through the relay: `rdv:NAME`. */
  | { readonly kind: "rdv"; readonly name: string }

export interface TargetSettings {
  readonly address: TargetAddress
  /** From 0 (gets nothing new) up; 1 by default. */
  readonly weight: number
  /** Groups: 0 is preferred, the next one is used as far as this one is not healthy. */
  readonly priority: number
  readonly zone: string | undefined
  readonly maxConnections: number | undefined
  /** Taken out by the file: nothing new goes there. */
  readonly disabled: boolean
  readonly tls: TargetTls | undefined
  /** Sent ahead of the client's bytes. */
  readonly proxyProtocol: "off" | "v1" | "v2"
  /** Connections that stand ready. */
  readonly warm: number
  readonly wake: WakeSettings | undefined
}

export interface TargetTls {
  /** For SNI and verification; undefined: the target's host. */
  readonly serverName: string | undefined
  /** PEM file; undefined: the system's authorities. */
  readonly ca: string | undefined
  readonly verify: boolean
  /** Undefined with termination: what the client's side agreed on. */
  readonly alpn: readonly string[] | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

export interface PolicySettings {
  readonly kind: "round-robin" | "random" | "least-connections" | "peak-ewma" | "hash"
  /** hash: a target gets at most so many times its share of the connections; undefined: no bound. */
  readonly bound: number | undefined
  /** Of priorities: the share of healthy targets below which the next group helps out, 0 to 1. */
  readonly spillBelow: number
  /** Targets of our zone first. `rtt` measures the distance instead of comparing names. */
  readonly locality: "off" | "zone" | "rtt"
}

export interface HealthSettings {
  readonly check: HealthCheck
  readonly intervalMs: number
  /** While a target is down; default as `intervalMs`. */
  readonly downIntervalMs: number
  /** Each interval is longer or shorter by up to this share, 0 to 1. */
  readonly jitter: number
  readonly timeoutMs: number
  /** So many good answers in a row, and it is up. */
  readonly rise: number
  /** So many bad ones, and it is down. */
  readonly fall: number
  /** Instead of the target's own. */
  readonly port: number | undefined
}

export type HealthCheck =
  | { readonly kind: "tcp" }
  /** Latin-1 with \r \n \xHH as the file spells them, already decoded. Either may be empty. */
  | { readonly kind: "expect"; readonly send: string; readonly expect: string }
  | {
      readonly kind: "http"
      readonly path: string
      readonly method: string
      readonly host: string | undefined
      /** Inclusive ranges of good statuses. */
      readonly statuses: readonly (readonly [least: number, most: number])[]
    }
  | { readonly kind: "tls" }

export interface OutlierSettings {
  /** So many connect failures in a row eject; 0: never. */
  readonly connectFailures: number
  /** So many connections in a row that the target reset before its first byte; 0: never. */
  readonly earlyResets: number
  readonly ejectMs: number
  /** Doubles with each ejection up to this. */
  readonly maxEjectMs: number
  /** At most this share of an app's targets is ejected at once, 0 to 1. At least one may be, when there are two. */
  readonly maxEjected: number
  /** With fewer usable targets than this share, health is ignored and all are used, 0 to 1. */
  readonly panicBelow: number
}

export interface BreakerSettings {
  /** Per target: connections being dialled. */
  readonly maxPending: number | undefined
  /** Share of failed dials that opens it, 0 to 1; undefined: never. */
  readonly failureRate: number | undefined
  /** … of at least so many dials within `windowMs`. */
  readonly minDials: number
  readonly windowMs: number
  /** After so long one dial tries it out. */
  readonly openMs: number
}

export interface RetrySettings {
  /** Further targets that are tried when a dial fails; each target is tried at most once per round. */
  readonly attempts: number
  /** Retries may be at most this share of the dials (10 per second are always allowed), 0 to 1; undefined: any. */
  readonly budget: number | undefined
}

export interface LimitSettings {
  readonly connections: number | undefined
  readonly perClient: number | undefined
  /** New connections per second, with bursts of one second. */
  readonly newPerSecond: number | undefined
  readonly newPerClientPerSecond: number | undefined
  /** How many may wait when the app or all its targets are full; 0: nobody. */
  readonly queue: number
  readonly queueMs: number
  /** Bits of an address that make one client. */
  readonly clientPrefix: { readonly ipv4: number; readonly ipv6: number }
}

/** Bytes/s; `up` is from client to target. */
export interface Bandwidth {
  readonly up: number | undefined
  readonly down: number | undefined
}

export interface BandwidthSettings {
  readonly connection: Bandwidth
  readonly client: Bandwidth
  /** The cap that the app's clients share fairly. */
  readonly app: Bandwidth
}

export interface TierSettings {
  readonly name: string
  readonly bandwidth: { readonly connection: Bandwidth; readonly client: Bandwidth }
  /** Its part when clients share a cap; 1 by default. */
  readonly weight: number
  /** Each that is not empty has to match. */
  readonly match: {
    /** CIDR. */
    readonly addresses: readonly string[]
    readonly serverNames: readonly string[]
    readonly ports: readonly number[]
    /** Common names of client certificates. */
    readonly certificates: readonly string[]
    /** SHA-256, hex, of tokens that a PROXY v2 header carries (type 0xE0). */
    readonly tokens: readonly string[]
  }
}

export interface TimeoutSettings {
  /** One attempt. */
  readonly connectMs: number
  /** All attempts, and the wait for a target to be up again. */
  readonly dialMs: number
  /** No byte either way. */
  readonly idleMs: number | undefined
  /** No byte either way, from the first FIN on. */
  readonly halfClosedMs: number
  readonly lifetimeMs: number | undefined
  /** From the client, after it connected; off by default, because servers may speak first. */
  readonly firstByteMs: number | undefined
  /** From the target, after it was connected. */
  readonly answerMs: number | undefined
  /** PROXY header, ClientHello and TLS handshake together. */
  readonly prefaceMs: number
  /** Bytes wait for this side and it takes none. */
  readonly slowReaderMs: number | undefined
}

export interface KeepAliveSettings {
  /** Silence before the first probe. */
  readonly idleMs: number
}

export interface AccessSettings {
  readonly rules: readonly AccessRule[]
  readonly otherwise: "allow" | "deny"
}

export interface AccessRule {
  readonly action: "allow" | "deny"
  /** CIDR, or … */
  readonly networks: readonly string[]
  /** … a file with one per line, `#` begins a comment; read again when it changes. */
  readonly file: string | undefined
}

export interface WakeSettings {
  /** `process`: we start it, and end it by SIGTERM. `commands`: one starts it, the other one stops it. */
  readonly how:
    | { readonly kind: "process"; readonly command: readonly string[]; readonly cwd: string | undefined }
    | { readonly kind: "commands"; readonly start: readonly string[]; readonly stop: readonly string[] | undefined }
    | { readonly kind: "hooks"; readonly start: string; readonly stop: string | undefined }
  readonly env: Readonly<Record<string, string>>
  readonly ready: { readonly kind: "tcp" } | { readonly kind: "http"; readonly path: string }
  /** Without a connection for so long, and it is stopped. */
  readonly idleMs: number
  /** From the start until it has to be ready. */
  readonly timeoutMs: number
  /** Between SIGTERM and SIGKILL. */
  readonly stopMs: number
  /** Connections that may wait for it. */
  readonly queue: number
}

export interface AdminSettings {
  /** Unix socket beside the status sockets, for the same user only. */
  readonly socket: boolean
  /** TCP wants a token; loopback too. */
  readonly listen: HostPort | undefined
  readonly tokenFile: string | undefined
  /** `/metrics` and nothing else, without a token; loopback only unless `listen` says otherwise. */
  readonly metrics: HostPort | undefined
}

export interface LogSettings {
  /** `failed`: only those that did not end in good order. */
  readonly connections: "all" | "failed" | "none"
}

export interface TracingSettings {
  /** OTLP/HTTP with JSON: `http://127.0.0.1:4318/v1/traces`. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** Share of the connections, 0 to 1. */
  readonly sample: number
}
