/**
 * Errors of the server as ours: an application is bundled by itself, and so is the server that runs it, so that there are two
 * classes of one name.
 */

import { asRdvError, errorCodes, RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"

/** `code` is for what is none of the server's. */
export function hostError(thrown: unknown, code?: ErrorCode): RdvError {
  if (thrown instanceof RdvError || !(thrown instanceof Error) || thrown.name !== "RdvError") {
    return asRdvError(thrown, code)
  }
  const { code: theirs, message, mend } = thrown as Partial<RdvError> & Error
  if (theirs === undefined || !Object.hasOwn(errorCodes, theirs)) return asRdvError(thrown, code)
  return new RdvError(theirs, message, { cause: thrown, ...(mend !== undefined && { mend }) })
}
