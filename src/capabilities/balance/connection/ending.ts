/** How a connection ended: one word per cause, for logs, metrics and spans. The words are a contract with users' alerts. */

/** Those in good order, and what a client or target did. */
export const endings = {
  done: "both sides ended in good order",
  "client-reset": "the client reset the connection",
  "target-reset": "the target reset the connection",
  "idle-timeout": "no byte passed for too long",
  "half-closed-timeout": "one side had ended, and no byte passed for too long",
  lifetime: "it had lived as long as it may",
  "first-byte-timeout": "the client sent nothing",
  "answer-timeout": "the target answered nothing",
  "slow-client": "the client did not read what waited for it",
  "slow-target": "the target did not read what waited for it",
  "client-gone": "the client left before it had a target",
  denied: "the access rules do not allow this address",
  "limit-total": "the balancer has as many connections as it may",
  "limit-app": "the app has as many connections as it may",
  "limit-client": "this client has as many connections as it may",
  "rate-app": "the app gets new connections too fast",
  "rate-client": "this client makes new connections too fast",
  "queue-full": "all targets are full, and so is the queue",
  "queue-timeout": "all targets stayed full for too long",
  "no-target": "no target may be used",
  "connect-failed": "no target could be reached",
  "wake-failed": "the target could not be started",
  "bad-proxy-header": "the PROXY header is missing or wrong",
  "bad-hello": "there is no ClientHello, or it is wrong",
  "unknown-name": "no app serves this server name",
  "tls-failed": "the TLS handshake failed",
  "preface-timeout": "PROXY header or TLS handshake took too long",
  "target-removed": "the target was taken out",
  "target-down": "the target went down",
  stopped: "the balancer stopped",
  failed: "an unexpected failure",
} as const

export type Ending = keyof typeof endings
