/** The certificate that `rdv relay` shows, and how it takes a renewed one. */

import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { systemClock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { Log } from "../base/log.ts"
import { checkPair, readPair } from "../certificates/certificate-pair.ts"
import type { CertificatePair, PairFiles } from "../certificates/certificate-pair.ts"
import type { Certified } from "../certificates/certificate.ts"
import { devCertificate } from "../certificates/dev-authority.ts"
import { PairWatch } from "../certificates/pair-watch.ts"
import type { RunningRelay } from "../node.ts"
import type { Folders } from "../store/paths.ts"
import { parseAddress } from "../transport/address.ts"
import type { Address } from "../transport/address.ts"
import type { CommandCall } from "./command.ts"
import { onHangUp } from "./stop-signals.ts"

export interface RelayTls extends CertificatePair {
  /** Where somebody else renews it. */
  readonly files?: PairFiles
  /** What agents have to trust, when the authority is our own. */
  readonly caFile?: string
  /** Of the certificate itself, for `--pin`. */
  readonly sha256?: string
  /** For names that the certificate does not cover. */
  readonly forName?: (name: string) => Certified | undefined
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
    const folder = join(at.data, "tls", domain)
    const made = devCertificate({ folder, domain, hosts, now: new Date() })
    return { ...made, ...checkPair(made, { cert: join(folder, "server.pem"), key: join(folder, "server.key") }) }
  }
  if (cert === undefined || key === undefined) return undefined
  return { ...readPair({ cert, key }), files: { cert, key } }
}

/** Shows what files are renewed to, when they change or SIGHUP comes, until the returned function is called. */
export function keepRenewed(relay: RunningRelay, tls: RelayTls, log: Log): () => void {
  const watch = new PairWatch({
    clock: systemClock,
    log,
    files: tls.files,
    pair: tls,
    onRenewed: (pair) => relay.renewTls(pair),
    mend: tls.files === undefined ? "start the relay anew" : "renew the files of --tls-cert and --tls-key",
  })
  relay.relay.report("certificate", () => {
    const { serial, until } = watch.pair
    return { serial, until: until.toISOString() }
  })
  const release = tls.files === undefined ? undefined : onHangUp(() => watch.reload())
  return () => {
    release?.()
    watch.stop()
  }
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
