/**
 * Node's TLS servers as the part of Node that shakes hands: they listen nowhere. Which one a connection goes to decides
 * which certificates it may be shown.
 */

import * as tls from "node:tls"
import type { CertificatePair } from "../../../certificates/certificate-pair.ts"
import { readClientHello } from "../preface/client-hello.ts"
import { certificatesByName } from "./certificate-names.ts"

export interface HandshakeServers {
  /** By the ClientHello, as far as it is in the first bytes. */
  choose(first: Uint8Array): tls.Server
}

/**
 * A server for each set of certificates, and one that finds out itself: Node gives a name one certificate at most.
 * At least one pair; `open` adds listeners.
 */
export function makeHandshakeServers(
  options: tls.TlsOptions,
  all: readonly CertificatePair[],
  open: (server: tls.Server) => void,
): HandshakeServers {
  const byName = certificatesByName(all)
  const { groups, standard } = byName
  const servers = new Map<readonly CertificatePair[], tls.Server>()
  const contexts = new Map<readonly CertificatePair[], tls.SecureContext>()
  for (const pairs of groups) {
    const server = tls.createServer({ ...options, ...secretsOf(pairs) })
    open(server)
    servers.set(pairs, server)
    const { minVersion, ca } = options
    const basis = { ...(minVersion && { minVersion }), ...(ca !== undefined && { ca }) }
    if (pairs !== standard) contexts.set(pairs, tls.createSecureContext({ ...basis, ...secretsOf(pairs.slice(0, 1)) }))
  }
  const [only] = servers.values()
  if (servers.size === 1 && only !== undefined) return { choose: () => only }
  const whole = tls.createServer({
    ...options,
    ...secretsOf(standard),
    SNICallback: (name, done) => done(null, contexts.get(byName.find(name.toLowerCase()))),
  })
  open(whole)
  return {
    choose(first) {
      const read = readClientHello(first)
      if (read.kind !== "hello") return whole
      return servers.get(read.hello.serverName === undefined ? standard : byName.find(read.hello.serverName)) ?? whole
    },
  }
}

function secretsOf(pairs: readonly CertificatePair[]): { cert: string[]; key: string[] } {
  return { cert: pairs.map(({ cert }) => cert), key: pairs.map(({ key }) => key) }
}
