/**
 * A balancer's file, YAML or JSON: the public form with `Apps`, `Ports` and `Targets`, and all the keys that go beyond it.
 * Keys count whether capital or small.
 */

import type { ConfigDocument } from "../../../config/document.ts"
import { readRoot } from "./settings-form.ts"
import type { Settings } from "./settings.ts"

/** Every default is filled in; paths are absolute. Throws `usage`; `problemsOf` tells all that is wrong. */
export function readSettings(document: ConfigDocument): Settings {
  const settings = readRoot(document.root)
  document.check()
  return settings
}
