/** What the web platform leaves out of an answer, and people who look at it with `curl -v` expect. */

/** RFC 9110 section 15; others have none. */
const reasons = new Map(
  (
    "200 OK|201 Created|202 Accepted|204 No Content|206 Partial Content|301 Moved Permanently|302 Found|303 See Other|" +
    "304 Not Modified|307 Temporary Redirect|308 Permanent Redirect|400 Bad Request|401 Unauthorized|403 Forbidden|" +
    "404 Not Found|405 Method Not Allowed|409 Conflict|410 Gone|412 Precondition Failed|413 Content Too Large|" +
    "415 Unsupported Media Type|416 Range Not Satisfiable|422 Unprocessable Content|426 Upgrade Required|" +
    "429 Too Many Requests|500 Internal Server Error|501 Not Implemented|502 Bad Gateway|503 Service Unavailable|" +
    "504 Gateway Timeout|507 Insufficient Storage"
  )
    .split("|")
    .map((line) => [Number(line.slice(0, 3)), line.slice(4)]),
)

export function reasonOf(status: number): string {
  return reasons.get(status) ?? ""
}

let second = -1
let text = ""

/** RFC 9110 section 5.6.7. Kept for the second that it is good for. */
export function httpDate(wallMs: number): string {
  const now = Math.floor(wallMs / 1000)
  if (now !== second) {
    second = now
    text = new Date(wallMs).toUTCString()
  }
  return text
}
