/** A line that a program printed, as a part of our own text. */

const most = 200

/** ` (it said: "…")`, short and without control characters; nothing for an empty line. */
export function quoteLine(line: string): string {
  const plain = line
    .replace(/\u001b\[[0-9;]*[A-Za-z]/g, "")
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim()
  if (plain === "") return ""
  return ` (it said: "${plain.length > most ? `${plain.slice(0, most)}…` : plain}")`
}
