/** Errors as they travel between the parts of a browser. */

import { asRdvError } from "../../base/error.ts"
import type { Trouble } from "./messages.ts"

export function troubleOf(thrown: unknown): Trouble {
  const { code, message, mend } = asRdvError(thrown)
  return { code, text: message, ...(mend === undefined ? {} : { mend }) }
}
