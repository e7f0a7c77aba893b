/** What Node says when connections fail, as the kinds that reports count by, each with one line as an example. */

import type { ErrorKind, LoadError } from "./client.ts"

/** When it happened: some codes mean something else after the connection was made. */
export type Phase = "connecting" | "securing" | "open"

const kinds: Readonly<Record<string, readonly [ErrorKind, string]>> = {
  ECONNREFUSED: ["refused", "refused the connection"],
  // Of a unix socket: no such file, or more connections wait than it accepts.
  ENOENT: ["refused", "is not there: no such socket"],
  EAGAIN: ["refused", "has its queue of connections full"],
  EHOSTUNREACH: ["unreachable", "cannot be reached: no route to the host"],
  EHOSTDOWN: ["unreachable", "cannot be reached: the host is down"],
  ENETUNREACH: ["unreachable", "cannot be reached: no route to its network"],
  ENETDOWN: ["unreachable", "cannot be reached: the network is down"],
  ENOTFOUND: ["dns", "has a name that does not resolve"],
  ENODATA: ["dns", "has a name without an address"],
  EAI_AGAIN: ["dns", "has a name that no server could resolve just now"],
  EMFILE: ["too many open files", "not connected: this process may not open more files (see ulimit -n)"],
  ENFILE: ["too many open files", "not connected: this machine may not open more files"],
  ECONNRESET: ["reset", "reset the connection"],
  ECONNABORTED: ["reset", "aborted the connection"],
  EPIPE: ["reset", "takes no more bytes on this connection"],
  EADDRNOTAVAIL: ["other", "not connected: no local port is free, too many connections were closed a moment ago"],
  EPROTO: ["tls", "failed in TLS"],
}

/** The kind and the line for an error of a socket. `where` is `host:port`. */
export function socketError(thrown: unknown, where: string, phase: Phase): LoadError {
  const error = thrown as Partial<NodeJS.ErrnoException>
  const code = error.code ?? ""
  const message = oneLine(error.message ?? String(thrown))
  if (code === "ETIMEDOUT") {
    const kind = phase === "open" ? "timeout" : "connect timeout"
    return { kind, detail: `${where} did not answer for too long (ETIMEDOUT)` }
  }
  // Node says "reset" when the other side ends during the handshake; a reset of the kernel has a system call.
  if (phase === "securing" && code === "ECONNRESET" && error.syscall === undefined) {
    return { kind: "tls", detail: `${where} closed the connection during the TLS handshake` }
  }
  const known = kinds[code]
  if (known !== undefined) {
    const [kind, text] = known
    return { kind, detail: `${where} ${text} (${code})` }
  }
  if (error.syscall === "getaddrinfo" || code.startsWith("EAI_")) {
    return { kind: "dns", detail: `${where} has a name that cannot be resolved (${code})` }
  }
  if (phase === "securing" || /^ERR_(TLS|SSL|OSSL)_/.test(code)) {
    return { kind: "tls", detail: `${where} failed in TLS: ${tlsReason(message, code)}` }
  }
  return {
    kind: "other",
    detail: `${where} failed: ${message}${code === "" || message.includes(code) ? "" : ` (${code})`}`,
  }
}

export function connectTimeout(where: string, ms: number): LoadError {
  return { kind: "connect timeout", detail: `${where} was not connected within ${ms} ms` }
}

/** An answer that the owner does not wait for any longer. */
export function givenUp(where: string): LoadError {
  return { kind: "other", detail: `${where} had not answered when the connection was cut here` }
}

/** OpenSSL's lines are `number:error:number:library:function:reason:file:line:`. */
function tlsReason(message: string, code: string): string {
  const reason = /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+)/.exec(message)?.[1] ?? message
  return code === "" || reason.includes(code) ? reason : `${reason} (${code})`
}

/** At most so many characters; servers' words may be in it. */
const longest = 200

export function oneLine(text: string): string {
  const flat = text.replace(/[^\x20-\x7e]+/g, " ").trim()
  return flat.length > longest ? `${flat.slice(0, longest - 1)}…` : flat
}
