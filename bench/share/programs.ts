/** Programs of the system. */

import { existsSync } from "node:fs"
import { delimiter, join } from "node:path"

/** Undefined when it is not installed. */
export function found(name: string): string | undefined {
  const places = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin", "/usr/bin"]
  return places.map((folder) => join(folder, name)).find(existsSync)
}

export function lacking(...names: readonly string[]): string | undefined {
  const name = names.find((each) => found(each) === undefined)
  return name === undefined ? undefined : `${name} is not installed`
}
