/** The certificate that `rdv relay` shows. */

import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { RdvError } from "../base/error.ts"
import { devCertificate } from "../certificates/dev-authority.ts"
import type { Folders } from "../store/paths.ts"
import { parseAddress } from "../transport/address.ts"
import type { Address } from "../transport/address.ts"
import type { CommandCall } from "./command.ts"
import { readText } from "./common-flags.ts"

export interface RelayTls {
  readonly key: string
  readonly cert: string
  /** What agents have to trust, when the authority is our own. */
  readonly caFile?: string
  /** Of the certificate itself, for `--pin`. */
  readonly sha256?: string
}

/** Files, an authority of our own, or none. Throws `usage`. */
export function readRelayTls({ flags, output }: CommandCall, at: Folders, domain: string): RelayTls | undefined {
  const cert = flags.text("tls-cert")
  const key = flags.text("tls-key")
  if ((cert === undefined) !== (key === undefined)) {
    throw new RdvError("usage", "--tls-cert and --tls-key belong together", { mend: "give both files" })
  }
  if (flags.choice("tls", ["dev"]) === "dev") {
    if (cert !== undefined) {
      throw new RdvError("usage", "--tls dev and --tls-cert exclude each other", { mend: "leave one out" })
    }
    if (!domain.includes(".")) {
      output.warn(`no client takes a certificate for *.${domain}: use a longer --domain, such as dev.${domain}`)
    }
    const hosts = flags.list("listen").flatMap((text) => hostsOf(parseAddress(text, "tls")))
    return devCertificate({ folder: join(at.data, "tls", domain), domain, hosts, now: new Date() })
  }
  if (cert === undefined || key === undefined) return undefined
  return { cert: readText(cert, "--tls-cert"), key: readText(key, "--tls-key") }
}

/** What agents may dial us by: for every interface, its present addresses. */
function hostsOf(address: Address): string[] {
  if (!("host" in address)) return []
  if (!isEverywhere(address.host)) return [address.host.toLowerCase()]
  return Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map((found) => found.address))
}

export function isEverywhere(host: string): boolean {
  return host === "" || host === "0.0.0.0" || host === "::"
}
