/** Whose doing it was that a connection ended: what decides how loud it is told, and what counts as a failure of ours. */

import type { Ending } from "./ending.ts"

/**
 * `nobody`: as it should be. `policy`: time-outs and changes that the operator wants. `limit`: there was no room for a
 * client that did nothing wrong. `us`: the balancer itself.
 */
export type Blame = "nobody" | "client" | "target" | "policy" | "limit" | "us"

const blames: Readonly<Record<Ending, Blame>> = {
  done: "nobody",
  "client-reset": "client",
  "target-reset": "target",
  "idle-timeout": "policy",
  "half-closed-timeout": "policy",
  lifetime: "policy",
  "first-byte-timeout": "client",
  "answer-timeout": "target",
  "slow-client": "client",
  "slow-target": "target",
  "client-gone": "client",
  denied: "client",
  "limit-total": "limit",
  "limit-app": "limit",
  "limit-client": "client",
  "rate-app": "limit",
  "rate-client": "client",
  "queue-full": "limit",
  "queue-timeout": "limit",
  "no-target": "target",
  "connect-failed": "target",
  "wake-failed": "target",
  "bad-proxy-header": "client",
  "bad-hello": "client",
  "unknown-name": "client",
  "tls-failed": "client",
  "preface-timeout": "client",
  "target-removed": "policy",
  "target-down": "target",
  stopped: "policy",
  failed: "us",
}

export function blameOf(ending: Ending): Blame {
  return blames[ending]
}

/** Whether somebody should have had service and had none. */
export function isFailure(ending: Ending): boolean {
  const blame = blames[ending]
  return blame === "target" || blame === "limit" || blame === "us"
}
