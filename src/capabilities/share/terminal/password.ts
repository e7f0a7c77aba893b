/** A password that is typed at a terminal, which does not show it. */

import { RdvError } from "../../../base/error.ts"

export interface PasswordTerminal {
  readonly stdin: {
    readonly isTTY?: boolean
    setRawMode?(raw: boolean): unknown
    on(event: "data", listener: (bytes: Uint8Array) => void): unknown
    off(event: "data", listener: (bytes: Uint8Array) => void): unknown
    on(event: "end", listener: () => void): unknown
    off(event: "end", listener: () => void): unknown
    resume(): unknown
    pause(): unknown
  }
  readonly stderr: { write(text: string): unknown }
}

/** More is a file that was pasted. */
const mostBytes = 1_024

/** Resolves with what was typed up to Enter. Rejects with `usage` without a terminal, `cancelled` at Ctrl+C. */
export function askPassword(prompt: string, { stdin, stderr }: PasswordTerminal): Promise<string> {
  if (stdin.isTTY !== true) {
    return Promise.reject(
      new RdvError("usage", "Nobody can be asked for the password: this is no terminal", {
        mend: "use --password-file or RDV_SHARE_PASSWORD",
      }),
    )
  }
  return new Promise((resolve, reject) => {
    let typed: number[] = []
    const settle = (act: () => void) => {
      stdin.off("data", onData)
      stdin.off("end", onEnd)
      stdin.setRawMode?.(false)
      stdin.pause()
      stderr.write("\n")
      act()
    }
    const cancelled = () => settle(() => reject(new RdvError("cancelled", "No password was given")))
    const onEnd = () => cancelled()
    const onData = (bytes: Uint8Array) => {
      for (const byte of bytes) {
        if (byte === 13 || byte === 10) {
          const text = new TextDecoder().decode(Uint8Array.from(typed))
          settle(() => resolve(text))
          return
        }
        // In raw mode the terminal makes no signal of Ctrl+C.
        if (byte === 3 || byte === 4) {
          cancelled()
          return
        }
        if (byte === 127 || byte === 8) typed = withoutLast(typed)
        else if (byte === 21) typed = []
        else if (typed.length < mostBytes) typed.push(byte)
      }
    }
    stderr.write(prompt)
    stdin.setRawMode?.(true)
    stdin.on("data", onData)
    stdin.on("end", onEnd)
    stdin.resume()
  })
}

/** Without the last character, which may have several bytes in UTF-8. */
function withoutLast(bytes: readonly number[]): number[] {
  let end = bytes.length - 1
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--
  return bytes.slice(0, Math.max(0, end))
}
