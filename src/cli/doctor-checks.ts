/** What `rdv doctor` looks at on this machine: each check is one finding with its mend. */

import { lookup } from "node:dns/promises"
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { request as secureRequest } from "node:https"
import { join } from "node:path"
import { connectLocal } from "../capabilities/tunnel/connect.ts"
import { endpointText, readHttpTarget } from "../capabilities/tunnel/target.ts"
import type { Endpoint } from "../capabilities/tunnel/target.ts"
import type { RdvError } from "../base/error.ts"
import { isLoopback } from "../node.ts"
import type { Folders } from "../store/paths.ts"
import type { Environment } from "./command.ts"

export interface Finding {
  readonly check: string
  readonly verdict: "ok" | "warn" | "fail"
  readonly text: string
  /** What to do about it; with `warn` and `fail`. */
  readonly mend?: string
}

const oldestMajor = 24
/** A local service that takes longer for a HEAD of its first page is slow, ms. */
const answerMs = 5_000

export function checkNode(version: string = process.versions.node): Finding {
  const check = "node"
  if (Number(version.split(".")[0]) >= oldestMajor) return { check, verdict: "ok", text: `Node ${version}` }
  return { check, verdict: "fail", text: `Node ${version} is too old`, mend: `install Node ${oldestMajor} or later` }
}

export function checkFolders(at: Folders): Finding {
  const check = "data"
  for (const folder of [at.data, at.state]) {
    const probe = join(folder, `.probe-${process.pid}`)
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      writeFileSync(probe, "", { flag: "wx" })
      rmSync(probe)
    } catch (error) {
      const why = (error as { code?: string }).code ?? "?"
      return {
        check,
        verdict: "fail",
        text: `${folder} cannot be written (${why})`,
        mend: "check whose it is, or set RDV_DATA to another folder",
      }
    }
  }
  return { check, verdict: "ok", text: `${at.data} can be written` }
}

/** Variables that other programs obey and this one does not: they hint at a network that lets nothing else out. */
export function checkProxy(env: Environment, proxy: URL | undefined, host: string): Finding {
  const check = "proxy"
  if (proxy === undefined && isLoopback(host)) return { check, verdict: "ok", text: "none is needed on this machine" }
  if (proxy !== undefined) return { check, verdict: "ok", text: `through ${proxy.host}` }
  const names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"]
  const set = names.find((name) => env[name] !== undefined && env[name] !== "")
  if (set === undefined) return { check, verdict: "ok", text: "none is configured" }
  return {
    check,
    verdict: "warn",
    text: `${set} is set, and rdv dials directly`,
    mend: `if the relay is not reached otherwise, add --proxy "$${set}"`,
  }
}

/** Names below localhost are for the loopback address (RFC 6761 section 6.3), if the resolver knows. */
export async function checkLocalhost(resolve: typeof lookup = lookup): Promise<Finding> {
  const check = "localhost"
  try {
    const { address } = await resolve("rdv-doctor.localhost")
    if (address === "::1" || address.startsWith("127.")) {
      return { check, verdict: "ok", text: `NAME.localhost is ${address}` }
    }
    return {
      check,
      verdict: "warn",
      text: `NAME.localhost is ${address}, which is not this machine`,
      mend: "ask who runs the name server; browsers and curl go to this machine all the same",
    }
  } catch {
    return {
      check,
      verdict: "warn",
      text: "this system does not resolve NAME.localhost",
      mend: "browsers and curl do by themselves; for other programs add the name to the hosts file",
    }
  }
}

/** A target as `rdv http` or `rdv tcp` would take it. Throws `usage`. */
export async function checkTarget(text: string): Promise<Finding> {
  const check = "target"
  const target = readHttpTarget(text)
  if (target.kind === "folder") {
    const found = statSync(target.path, { throwIfNoEntry: false })
    if (found?.isDirectory() === true) return { check, verdict: "ok", text: `the folder ${text} exists` }
    return { check, verdict: "fail", text: `there is no folder ${text}`, mend: "check the path" }
  }
  const { endpoint } = target
  const place = endpointText(endpoint)
  const refused = await new Promise<RdvError | undefined>((resolve) => {
    connectLocal(
      endpoint,
      { insecure: true },
      ({ socket }) => {
        socket.on("error", () => undefined)
        socket.destroy()
        resolve(undefined)
      },
      resolve,
    )
  })
  if (refused !== undefined) {
    return { check, verdict: "fail", text: refused.message, mend: "start the service, or check the port" }
  }
  const status = await headOf(endpoint)
  if (typeof status === "number") {
    return { check, verdict: "ok", text: `${place} answers HTTP (status ${status})` }
  }
  return {
    check,
    verdict: "warn",
    text: `${place} takes connections and does not answer HTTP (${status})`,
    mend: "use rdv tcp for it, or write https:// in front if it speaks TLS",
  }
}

/** The status of `HEAD /`, or why there is none. */
function headOf(endpoint: Endpoint): Promise<number | string> {
  return new Promise((resolve) => {
    const options = {
      method: "HEAD",
      path: "/",
      agent: false as const,
      timeout: answerMs,
      ...(endpoint.kind === "unix"
        ? { socketPath: endpoint.path, host: "localhost" }
        : { host: endpoint.host, port: endpoint.port }),
    }
    const secure = endpoint.kind === "tcp" && endpoint.tls
    const asking = secure ? secureRequest({ ...options, rejectUnauthorized: false }) : request(options)
    asking.on("response", (answer) => {
      resolve(answer.statusCode ?? 0)
      asking.destroy()
    })
    asking.on("timeout", () => asking.destroy(new Error(`nothing within ${answerMs / 1_000} s`)))
    asking.on("error", (error) => resolve(error.message))
    asking.end()
  })
}
