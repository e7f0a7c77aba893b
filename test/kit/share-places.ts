/** Commands of shares from outside: a relay of one test file, folders for installations and for what they receive. */

import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { after, before } from "node:test"
import { startRelayCommand, temporaryFolder } from "./command.ts"

export interface SharePlaces {
  /** The folder of all folders. */
  readonly path: string
  /** `host:port`, from the first test on. */
  readonly address: string
  /** A new one. */
  folder(name: string): string
}

/** Before the first test, and until after the last one. */
export function sharePlaces(): SharePlaces {
  const home = temporaryFolder()
  let folders = 0
  let relay: Awaited<ReturnType<typeof startRelayCommand>> | undefined
  const folder = (name: string): string => {
    const path = join(home.path, `${name}-${++folders}`)
    mkdirSync(path)
    return path
  }
  before(async () => {
    relay = await startRelayCommand(["--open"], { data: folder("relay") })
  })
  after(async () => {
    await relay?.relay[Symbol.asyncDispose]()
    home[Symbol.dispose]()
  })
  return {
    path: home.path,
    get address() {
      return relay?.address ?? ""
    },
    folder,
  }
}
