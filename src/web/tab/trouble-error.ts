/** An error as pages get it. `RdvError` would bring its whole table along, into every page. */

import type { Trouble } from "./messages.ts"

export function troubleError({ code, text, mend }: Trouble): Error & { readonly code: string; readonly mend?: string } {
  return Object.assign(new Error(text), { code }, mend === undefined ? {} : { mend })
}
