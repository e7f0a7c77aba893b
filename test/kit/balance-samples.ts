/** A balancer that never ran: a connection's record, a snapshot and a control, for the tests of what shows them. */

import { RdvError } from "../../src/base/error.ts"
import type { Control, LiveConnection } from "../../src/capabilities/balance/admin/control.ts"
import type { ConnectionRecord } from "../../src/capabilities/balance/connection/record.ts"
import type { AppSnapshot, Snapshot, TargetSnapshot } from "../../src/capabilities/balance/observe/snapshot.ts"

export function sampleRecord(changes: Partial<ConnectionRecord> = {}): ConnectionRecord {
  return {
    id: 7,
    app: "web",
    listener: "0.0.0.0:443",
    client: "192.0.2.9:40001",
    serverName: undefined,
    tier: undefined,
    target: "10.0.0.1:80",
    why: "round-robin",
    ending: "done",
    detail: "",
    attempts: 1,
    startedAt: Date.UTC(2025, 0, 1),
    queuedMs: undefined,
    prefaceMs: undefined,
    connectMs: 0.4,
    joinedMs: 0.6,
    firstByteMs: 2.1,
    durationMs: 1_250.5,
    bytesUp: 120,
    bytesDown: 45_000,
    dials: [{ target: "10.0.0.1:80", atMs: 0.2, ms: 0.4, error: undefined }],
    ...changes,
  }
}

export function sampleTarget(name: string, changes: Partial<TargetSnapshot> = {}): TargetSnapshot {
  return {
    name,
    orders: "serve",
    obstacle: undefined,
    healthy: true,
    healthReason: "",
    weight: 1,
    priority: 0,
    zone: undefined,
    active: 3,
    pending: 0,
    warm: 0,
    latencyMs: 0.45,
    ejectedForMs: 0,
    wake: undefined,
    totals: {
      connections: 120,
      connectFailures: 2,
      earlyResets: 1,
      retries: 2,
      ejections: 0,
      checks: 50,
      checkFailures: 1,
      bytesUp: 12_000,
      bytesDown: 4_500_000,
      wakes: 0,
    },
    ...changes,
  }
}

export function sampleApp(name: string, changes: Partial<AppSnapshot> = {}): AppSnapshot {
  return {
    name,
    policy: "round-robin",
    listeners: [{ address: "0.0.0.0:443", state: "listening", error: undefined }],
    active: 5,
    queued: 1,
    total: 240,
    endings: { done: 230, "client-reset": 3, "connect-failed": 2 },
    bytesUp: 24_000,
    bytesDown: 9_000_000,
    connect: { bounds: [0.5, 1, 5], counts: [200, 30, 4, 1], sum: 150 },
    duration: { bounds: [100, 1_000], counts: [10, 220, 5], sum: 90_000 },
    queue: { bounds: [1, 10], counts: [0, 0, 0], sum: 0 },
    targets: [sampleTarget("10.0.0.1:80"), sampleTarget("10.0.0.2:80")],
    panic: false,
    ...changes,
  }
}

export function sampleSnapshot(changes: Partial<Snapshot> = {}): Snapshot {
  return {
    at: Date.UTC(2025, 0, 1, 1),
    startedAt: Date.UTC(2025, 0, 1),
    configFile: "/etc/rdv/config.yaml",
    reloads: { good: 2, bad: 1, lastError: undefined },
    connections: 5,
    maxConnections: 9_000,
    apps: [sampleApp("web")],
    ...changes,
  }
}

/** Knows the app `web` and what was done to it. */
export class SampleControl implements Control {
  readonly calls: string[] = []
  state: Snapshot = sampleSnapshot()
  live: LiveConnection[] = []
  failure: RdvError | undefined

  snapshot(): Snapshot {
    return this.state
  }

  connections(most: number): readonly LiveConnection[] {
    return this.live.slice(0, most)
  }

  async reload(): Promise<{ readonly changed: readonly string[] }> {
    this.calls.push("reload")
    if (this.failure !== undefined) throw this.failure
    return { changed: ["app web: target 10.0.0.3:80 added"] }
  }

  target(app: string, name: string, change: { readonly orders?: string; readonly weight?: number }): void {
    this.#check(app)
    this.calls.push(`target ${app} ${name} ${JSON.stringify(change)}`)
  }

  addTarget(app: string, text: string): void {
    this.#check(app)
    this.calls.push(`add ${app} ${text}`)
  }

  removeTarget(app: string, name: string): void {
    this.#check(app)
    this.calls.push(`remove ${app} ${name}`)
  }

  cut(connectionId: number): boolean {
    this.calls.push(`cut ${connectionId}`)
    return connectionId === 7
  }

  configuration(): string {
    return "apps:\n  - name: web\n"
  }

  #check(app: string): void {
    if (app !== "web") throw new RdvError("usage", `There is no app ${app}`, { mend: "the apps are: web" })
  }
}
