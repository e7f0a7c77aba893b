/** Why a target did not answer, in the few words that fit into a table: `connection refused`, `no route to the host`. */

import { RdvError } from "../../../base/error.ts"

const texts: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
  ECONNABORTED: "connection aborted",
  ETIMEDOUT: "no answer to the connect",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to its network",
  EHOSTDOWN: "the host is down",
  ENETDOWN: "the network is down",
  ENOTFOUND: "its name does not resolve",
  ENODATA: "its name has no address",
  EAI_AGAIN: "no resolver could be asked for its name",
  // Of a unix socket.
  ENOENT: "no such socket",
  EACCES: "no permission to connect",
  EAGAIN: "its queue of connections is full",
  EMFILE: "too many open files here",
  ENFILE: "too many open files on this machine",
  EADDRNOTAVAIL: "no local port is free",
}

/** One line of at most some hundred characters. */
export function failureText(thrown: unknown): string {
  if (thrown instanceof RdvError) return oneLine(thrown.message)
  const { code, message, syscall } = thrown as Partial<NodeJS.ErrnoException>
  const text = code === undefined ? undefined : texts[code]
  // Node says "reset" when the other side ends during the handshake; a reset of the kernel has a system call.
  if (code === "ECONNRESET" && syscall === undefined) return "it closed the connection"
  if (text !== undefined) return text
  // OpenSSL's lines are `number:error:number:library:function:reason:file:line:`.
  const tls = /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+)/.exec(message ?? "")?.[1]
  if (tls !== undefined) return oneLine(`TLS: ${tls}`)
  return oneLine(message ?? String(thrown))
}

const longest = 120

/** What strangers sent may be in it. */
export function oneLine(text: string): string {
  const flat = text.replace(/[^\x20-\x7e]+/g, " ").trim()
  return flat.length > longest ? `${flat.slice(0, longest - 1)}…` : flat
}
