/**
 * Where files live: the XDG Base Directory folders, or what each system has in their place. `RDV_CONFIG` and `RDV_DATA`
 * override them, for services, containers and tests; state goes with `RDV_DATA`, so that one folder holds everything.
 */

import { homedir } from "node:os"
import { posix, win32 } from "node:path"

export interface Folders {
  /** What the user writes: configuration, tokens by file. */
  readonly config: string
  /** What must outlive a restart: the relay's store, certificates. */
  readonly data: string
  /** What may be lost with little harm: the agent's id, sockets, history. */
  readonly state: string
}

export interface FoldersOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly platform?: string
  readonly home?: string
}

/** The folders of this user. None of them is created. */
export function folders(options: FoldersOptions = {}): Folders {
  const env = options.env ?? process.env
  const platform = options.platform ?? process.platform
  const home = options.home ?? homedir()
  const path = platform === "win32" ? win32 : posix
  const standard = standardFolders(env, platform, home)
  const config = env["RDV_CONFIG"]
  const data = env["RDV_DATA"]
  return {
    config: config ? path.resolve(config) : standard.config,
    data: data ? path.resolve(data) : standard.data,
    state: data ? path.resolve(data, "state") : standard.state,
  }
}

function standardFolders(env: Readonly<Record<string, string | undefined>>, platform: string, home: string): Folders {
  if (platform === "win32") {
    const roaming = env["APPDATA"] || win32.join(home, "AppData", "Roaming")
    const local = env["LOCALAPPDATA"] || win32.join(home, "AppData", "Local")
    return {
      config: win32.join(roaming, "rdv"),
      data: win32.join(local, "rdv", "data"),
      state: win32.join(local, "rdv", "state"),
    }
  }
  const support = posix.join(home, "Library", "Application Support", "rdv")
  const xdg = (variable: string, fallback: string, mac: string): string => {
    const folder = env[variable]
    // The specification: a relative path there is invalid and ignored.
    if (folder && posix.isAbsolute(folder)) return posix.join(folder, "rdv")
    return platform === "darwin" ? posix.join(support, mac) : posix.join(home, fallback, "rdv")
  }
  return {
    config: xdg("XDG_CONFIG_HOME", ".config", "config"),
    data: xdg("XDG_DATA_HOME", ".local/share", "data"),
    state: xdg("XDG_STATE_HOME", ".local/state", "state"),
  }
}
