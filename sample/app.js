// Asks for one small file every second and draws how long each answer took. A request that waits is the point: while the
// link between relay and agent is away, the session keeps it, and the answer comes when the link is back.

const everyMs = 1000
const shown = 40

const byId = (id) => document.getElementById(id)
const bars = []
const times = []
let answered = 0
let failed = 0
let since = 0

if (location.host) byId("host").textContent = location.host
const state = byId("state")

const duration = (ms) => (ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`)

/** The height tells tenfold from tenfold: 1 ms is low, 10 s reaches the top. */
const height = (ms) => `${Math.min(100, 8 + 23 * Math.log10(1 + ms))}%`

function addBar() {
  const bar = document.createElement("i")
  bar.className = "waiting"
  byId("pulse").append(bar)
  bars.push(bar)
  if (bars.length > shown) bars.shift().remove()
  return bar
}

function show(lastMs) {
  if (lastMs !== undefined) {
    times.push(lastMs)
    if (times.length > shown) times.shift()
    byId("last").textContent = duration(lastMs)
    byId("median").textContent = duration([...times].sort((a, b) => a - b)[times.length >> 1])
  }
  byId("answered").textContent = String(answered)
  byId("failed").textContent = String(failed)
}

function say(text, broken) {
  if (state.textContent !== text) state.textContent = text
  state.classList.toggle("broken", broken)
}

async function ask() {
  const bar = addBar()
  const started = performance.now()
  const growing = setInterval(() => {
    const waited = performance.now() - started
    bar.style.height = height(waited)
    if (waited > 900) {
      since ||= started
      say(`A request has been waiting for ${Math.round(waited / 1000)} s. The session holds it.`, true)
    }
  }, 100)
  try {
    const response = await fetch("pulse.txt", { cache: "no-store" })
    await response.text()
    if (!response.ok) throw new Error(`${response.status} ${response.headers.get("rdv-error") ?? ""}`.trim())
    const took = performance.now() - started
    answered++
    bar.className = ""
    bar.style.height = height(took)
    show(took)
    if (since !== 0) say(`The link was away for about ${duration(performance.now() - since)}, and is back.`, false)
    else if (answered === 1) say("Everything flows.", false)
    since = 0
  } catch (error) {
    failed++
    since ||= started
    bar.className = "failed"
    bar.style.height = "100%"
    show()
    say(`The last request failed (${error.message}). The page goes on asking.`, true)
  } finally {
    clearInterval(growing)
  }
}

async function run() {
  for (;;) {
    const next = new Promise((resolve) => setTimeout(resolve, everyMs))
    // A page in the background rests.
    if (!document.hidden) await ask()
    await next
  }
}

addEventListener("load", () => {
  const [page] = performance.getEntriesByType("navigation")
  if (page) byId("page-time").textContent = duration(page.responseEnd - page.requestStart)
  say("Asking…", false)
  void run()
})
