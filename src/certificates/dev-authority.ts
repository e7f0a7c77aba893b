/**
 * `rdv relay --tls dev`: an authority of our own in the data folder, one per domain, and a certificate for that domain and
 * all names below it. A wildcard covers one label, so names with two (`app.NAME.DOMAIN`) get a certificate each when
 * somebody asks for them. Agents trust it with `--ca`; it can vouch for nothing else.
 */

import { X509Certificate } from "node:crypto"
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { isIP } from "node:net"
import { join } from "node:path"
import { RdvError } from "../base/error.ts"
import { makeAuthority, makeServerCertificate } from "./certificate.ts"
import type { Certified } from "./certificate.ts"

export interface DevCertificate extends Certified {
  /** The authority, for `--ca`. */
  readonly caFile: string
  /** Of the server's certificate, for `--pin`; it changes when that is renewed. */
  readonly sha256: string
  /** Of a name two labels below the domain: made once, kept in memory. Undefined for every other name. */
  readonly forName: (name: string) => Certified | undefined
}

export interface DevCertificateOptions {
  /** Holds all of it; made when it is missing. */
  readonly folder: string
  readonly domain: string
  /** Further host names and addresses that the relay is dialled by. */
  readonly hosts: readonly string[]
  readonly now: Date
}

const dayMs = 86_400_000
const authorityDays = 3_650
/** More is refused by some clients. */
const serverDays = 397
const renewDays = 30
/** Certificates of single names in memory: strangers may ask for any. */
const mostNames = 1_000

/** Reads what is there, makes what is missing, runs out soon or lacks a name. Throws `usage` when files cannot be kept. */
export function devCertificate(options: DevCertificateOptions): DevCertificate {
  const { folder, domain, now } = options
  const caFile = join(folder, "ca.pem")
  const names = [...new Set([domain, `*.${domain}`, "localhost", "127.0.0.1", "::1", ...options.hosts])]
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const authority =
      read(folder, "ca", (found) => livesOn(found, now)) ??
      keep(folder, "ca", () =>
        makeAuthority({
          title: `Rendezvous development authority of ${domain}`,
          domains: [...new Set([domain, "localhost", ...options.hosts.filter((host) => isIP(host) === 0)])],
          from: new Date(now.getTime() - dayMs),
          until: new Date(now.getTime() + authorityDays * dayMs),
        }),
      )
    const issuer = new X509Certificate(authority.cert)
    const server =
      read(
        folder,
        "server",
        (found) => livesOn(found, now) && found.verify(issuer.publicKey) && covers(found, names),
      ) ??
      keep(folder, "server", () =>
        makeServerCertificate(
          {
            title: domain,
            names,
            from: new Date(now.getTime() - dayMs),
            until: new Date(now.getTime() + serverDays * dayMs),
          },
          authority,
        ),
      )
    const sha256 = new X509Certificate(server.cert).fingerprint256.replaceAll(":", "").toLowerCase()
    return { ...server, caFile, sha256, forName: perName(domain, authority) }
  } catch (error) {
    if (error instanceof RdvError) throw error
    throw new RdvError("usage", `The development certificate cannot be kept in ${folder}`, {
      cause: error,
      mend: `check that the folder is yours and its files are whole (${(error as Error).message})`,
    })
  }
}

function perName(domain: string, authority: Certified): (name: string) => Certified | undefined {
  const made = new Map<string, Certified>()
  return (asked) => {
    const name = asked.toLowerCase()
    const labels = name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1).split(".") : []
    if (labels.length !== 2 || !labels.every((label) => /^[a-z0-9-]{1,63}$/.test(label))) return undefined
    const before = made.get(name)
    if (before !== undefined) return before
    const [oldest] = made.keys()
    if (oldest !== undefined && made.size >= mostNames) made.delete(oldest)
    const now = Date.now()
    const from = new Date(now - dayMs)
    const until = new Date(now + serverDays * dayMs)
    const fresh = makeServerCertificate({ title: name, names: [name], from, until }, authority)
    made.set(name, fresh)
    return fresh
  }
}

function read(folder: string, stem: string, good: (found: X509Certificate) => boolean): Certified | undefined {
  try {
    const cert = readFileSync(join(folder, `${stem}.pem`), "utf8")
    const key = readFileSync(join(folder, `${stem}.key`), "utf8")
    return good(new X509Certificate(cert)) ? { cert, key } : undefined
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined
    throw error
  }
}

function keep(folder: string, stem: string, make: () => Certified): Certified {
  const made = make()
  // The key first: a certificate without its key would be taken for a whole pair.
  for (const [file, text] of [
    [`${stem}.key`, made.key],
    [`${stem}.pem`, made.cert],
  ] as const) {
    const temporary = join(folder, `${file}.${process.pid}`)
    writeFileSync(temporary, text, { mode: file.endsWith(".key") ? 0o600 : 0o644 })
    renameSync(temporary, join(folder, file))
  }
  return made
}

function livesOn(found: X509Certificate, now: Date): boolean {
  return found.validFromDate <= now && found.validToDate.getTime() > now.getTime() + renewDays * dayMs
}

function covers(found: X509Certificate, names: readonly string[]): boolean {
  const held = (found.subjectAltName ?? "")
    .split(", ")
    .map((entry) => entry.replace(/^(DNS|IP Address):/, "").toLowerCase())
  return names.every((name) =>
    isIP(name) === 6 ? found.checkIP(name) !== undefined : held.includes(name.toLowerCase()),
  )
}
