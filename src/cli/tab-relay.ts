/** Relays as the commands of `rdv tab` name them. */

import { isIP } from "node:net"
import { delay, systemClock } from "../base/clock.ts"
import { asRdvError, RdvError } from "../base/error.ts"
import type { BuildPlace } from "../capabilities/tab/build/build-folder.ts"
import type { OpenAtRelay } from "../capabilities/tab/build/publish-build.ts"
import { startAgent } from "../node.ts"
import { checkName } from "../relay/names.ts"
import { parseAddress, printAddress, sessionPath } from "../transport/address.ts"
import type { Address } from "../transport/address.ts"
import { isLoopback } from "../transport/loopback.ts"
import type { CommandCall } from "./command.ts"
import { logOf, relayAddress } from "./common-flags.ts"
import type { FlagReader, Flags } from "./flags.ts"
import { connectWishes } from "./share-flags.ts"

export const domainFlag: Flags = {
  domain: {
    kind: "text",
    value: "DOMAIN",
    summary: "The relay's names are below it, when it is not the relay's own host name",
  },
}

/** What a proof is made for, and where names are. Throws `usage`. */
export function domainOf(flags: FlagReader, relay: string): string {
  const wanted = flags.text("domain")
  if (wanted !== undefined) return wanted.toLowerCase()
  const address = parseAddress(relayAddress(relay), "tcp")
  const host = "host" in address ? address.host : ""
  return host === "" || isLoopback(host) || isIP(host) !== 0 ? "localhost" : host.toLowerCase()
}

/** `.rdv/tab.json` of a build. A published one gets the relay's own. Throws `usage`. */
export function buildPlace({ flags }: Pick<CommandCall, "flags">): BuildPlace {
  const relay = flags.text("relay")
  const app = flags.text("name")
  const name = app === undefined ? null : checkName(app)
  if (relay === undefined) return { app: name, relay: null, domain: null }
  return { app: name, relay: webSocketUrl(parseAddress(relayAddress(relay), "tcp")), domain: domainOf(flags, relay) }
}

/** How a page comes to a relay. */
function webSocketUrl(address: Address): string {
  switch (address.scheme) {
    case "unix":
    case "memory":
      throw new RdvError("usage", `No browser reaches ${printAddress(address)}`, { mend: "name the relay by https://" })
    default: {
      const isSecure = address.scheme === "tls" || address.scheme === "https" || address.scheme === "wss"
      const path = "path" in address ? address.path : sessionPath
      return printAddress({ ...address, scheme: isSecure ? "wss" : "ws", path })
    }
  }
}

/** The name of an application at a relay. Throws `usage`. */
export function appName(text: string | undefined): string {
  if (text !== undefined) return checkName(text)
  throw new RdvError("usage", "A published application has a name", { mend: "add --name NAME" })
}

/**
 * One session for one errand. Rejects with what the relay has against it, and `unreachable` when it is not there within
 * `--wait`.
 */
export async function atRelay<Result>(
  call: CommandCall,
  errand: (open: OpenAtRelay) => Promise<Result>,
): Promise<Result> {
  const relay = call.flags.text("relay")
  if (relay === undefined) throw new RdvError("usage", "No relay is named", { mend: "add --relay ADDRESS" })
  const { firstMs, ...wishes } = connectWishes(call, relay)
  const up = Promise.withResolvers<void>()
  let trouble: RdvError | undefined
  const running = startAgent({
    ...wishes,
    log: logOf(call, "error"),
    onEvent: (event) => {
      if (event.kind === "up") up.resolve()
      else if (event.kind === "failed") up.reject(event.error)
      else if (event.kind !== "draining") trouble = event.error
    },
  })
  const patience = new AbortController()
  const late = delay(systemClock, firstMs, patience.signal).then(
    () => Promise.reject(trouble ?? new RdvError("unreachable", `The relay ${wishes.relay} does not answer`)),
    () => undefined,
  )
  const stopped = new Promise<never>((_resolve, reject) => {
    call.stopping.addEventListener("abort", () => reject(new RdvError("cancelled", "Stopped")), { once: true })
  })
  stopped.catch(() => undefined)
  try {
    await Promise.race([up.promise, late, stopped])
    patience.abort()
    // The session is told of before it can be used.
    await new Promise((resolve) => setImmediate(resolve))
    return await Promise.race([errand((service, header) => running.agent.dial(service, { header })), stopped])
  } catch (error) {
    throw asRdvError(error)
  } finally {
    patience.abort()
    await running.stop()
  }
}
