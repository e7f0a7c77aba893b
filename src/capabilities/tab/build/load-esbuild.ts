/** The bundler, which is an optional package: nothing else of the product needs it. */

import type * as esbuild from "esbuild"
import { RdvError } from "../../../base/error.ts"

export type Esbuild = typeof esbuild

/** Rejects `usage` where it is not installed. */
export async function loadEsbuild(): Promise<Esbuild> {
  try {
    return await import("esbuild")
  } catch (cause) {
    throw new RdvError("usage", "Applications are bundled by esbuild, which is not installed here", {
      mend: "npm install esbuild",
      cause,
    })
  }
}
