/**
 * Which certificates are shown for which server name: those that name it, before those with a wildcard for it, before the
 * first of all. Several for one name, such as ECDSA and RSA, are offered together, and the client's abilities decide.
 */

import { X509Certificate } from "node:crypto"
import type { CertificatePair } from "../../../certificates/certificate-pair.ts"

export interface CertificatesByName {
  /** Each set that `find` may give. */
  readonly groups: readonly (readonly CertificatePair[])[]
  /** For names that no certificate has, and without a name. */
  readonly standard: readonly CertificatePair[]
  /** `name` in lower case. */
  find(name: string): readonly CertificatePair[]
}

/** At least one pair. */
export function certificatesByName(pairs: readonly CertificatePair[]): CertificatesByName {
  const [first, ...others] = pairs.map((pair) => ({ pair, ...look(pair) }))
  if (first === undefined) throw new Error("There is no certificate")
  const indices = new Map<string, number[]>()
  const all = [first, ...others]
  for (const [at, { names }] of all.entries()) {
    for (const name of names) indices.set(name, [...(indices.get(name) ?? []), at])
  }
  const groups = new Map<string, readonly CertificatePair[]>()
  /** One of each kind of key: the first. */
  const group = (members: readonly number[]) => {
    const kept = members.filter(
      (at, place) => members.findIndex((other) => all[other]?.kind === all[at]?.kind) === place,
    )
    const key = kept.join()
    const known = groups.get(key)
    if (known !== undefined) return known
    const made = kept.flatMap((at) => all[at]?.pair ?? [])
    groups.set(key, made)
    return made
  }
  const byName = new Map([...indices].map(([name, members]) => [name, group(members)] as const))
  const standard = group(indices.get(first.names[0] ?? "") ?? [0])
  return {
    groups: [...groups.values()],
    standard,
    find: (name) => byName.get(name) ?? byName.get(`*${name.slice(name.indexOf("."))}`) ?? standard,
  }
}

/** Its DNS names, or its common name when it has none, in lower case. */
function look({ cert }: CertificatePair): { names: string[]; kind: string } {
  const parsed = new X509Certificate(cert)
  const kind = parsed.publicKey.asymmetricKeyType ?? ""
  const listed = (parsed.subjectAltName ?? "").split(", ").flatMap((each) => /^DNS:(.+)$/.exec(each)?.[1] ?? [])
  const common = /^CN=(.+)$/m.exec(parsed.subject)?.[1]
  const names = listed.length > 0 || common === undefined ? listed : [common]
  return { names: [...new Set(names.map((name) => name.toLowerCase()))], kind }
}
