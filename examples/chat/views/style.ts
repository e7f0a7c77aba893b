/** How it looks: calm, light and dark, on a desk and on a phone. */

export const style = `
:root {
  color-scheme: light dark;
  --back: #f5f5f2;
  --side: #eceae5;
  --card: #ffffff;
  --text: #23241f;
  --quiet: #66675f;
  --line: #dddbd4;
  --accent: #2f6f5e;
  --on-accent: #ffffff;
  --soft: #e2ede8;
  --own: #e4efe9;
  --warn: #a4460f;
  --warn-soft: #fbeee3;
  --good: #2f8a5b;
  --idle: #a3a29a;
  --shadow: 0 1px 2px rgb(30 30 20 / 5%), 0 12px 32px rgb(30 30 20 / 10%);
  --r: 12px;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #16181a;
    --side: #1b1e20;
    --card: #212427;
    --text: #e7e7e2;
    --quiet: #a0a29c;
    --line: #32363a;
    --accent: #86c9b2;
    --on-accent: #10241d;
    --soft: #24332e;
    --own: #22322c;
    --warn: #f0a06a;
    --warn-soft: #38281c;
    --good: #6ccf9b;
    --idle: #71736d;
    --shadow: 0 12px 32px rgb(0 0 0 / 40%);
  }
}
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
html { height: 100%; }
body {
  margin: 0;
  height: 100%;
  background: var(--back);
  color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
  overflow-wrap: anywhere;
  -webkit-text-size-adjust: 100%;
}
h1, h2, p, ul, ol { margin: 0; padding: 0; }
ul, ol { list-style: none; }
h1 { font-size: 1.15rem; line-height: 1.3; font-weight: 650; }
h2 { font-size: 1rem; font-weight: 650; }
a { color: var(--accent); text-underline-offset: 2px; }
code { font: 0.88em ui-monospace, "Cascadia Mono", Menlo, monospace; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
#main:focus { outline: none; }
.away { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.skip { position: absolute; left: 1rem; top: -4rem; padding: 0.4rem 0.8rem; background: var(--card); z-index: 9; border-radius: 8px; }
.skip:focus { top: 0.5rem; }
.icon { width: 1.25em; height: 1.25em; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; vertical-align: -0.25em; flex: none; }
.hint, .none { color: var(--quiet); font-size: 0.9rem; }
.row { display: flex; align-items: center; justify-content: flex-end; gap: 0.75rem; flex-wrap: wrap; }
.trouble { color: var(--warn); background: var(--warn-soft); padding: 0.4rem 0.7rem; border-radius: 8px; font-size: 0.9rem; }

button {
  font: inherit; font-weight: 600; color: var(--on-accent); background: var(--accent);
  border: 1px solid transparent; border-radius: 9px; padding: 0.42rem 0.95rem; min-height: 2.4rem; cursor: pointer;
}
button:hover { filter: brightness(1.07); }
button:disabled { opacity: 0.55; cursor: default; }
button.quiet { background: none; color: var(--accent); border-color: var(--line); font-weight: 550; }
button.danger { color: var(--warn); border-color: transparent; padding-left: 0; justify-self: start; }
label { display: block; font-size: 0.9rem; color: var(--quiet); }
input:not([type=checkbox], [type=file]), textarea {
  display: block; width: 100%; margin-top: 0.2rem; font: inherit; font-size: 1rem; color: var(--text);
  background: var(--back); border: 1px solid var(--line); border-radius: 9px; padding: 0.45rem 0.7rem;
}
::placeholder { color: var(--quiet); opacity: 0.75; }
label.check { display: flex; gap: 0.5rem; align-items: center; color: var(--text); }
label.check input { accent-color: var(--accent); width: 1.05rem; height: 1.05rem; margin: 0; }
form { display: grid; gap: 0.7rem; }

.avatar {
  display: inline-grid; place-items: center; width: 2.25rem; height: 2.25rem; border-radius: 50%; flex: none;
  font-size: 0.95rem; font-weight: 650; color: #fff; background: var(--hue, #777);
}
.hue0 { --hue: #3f7d6b; } .hue1 { --hue: #5a6fa8; } .hue2 { --hue: #9a5b6e; } .hue3 { --hue: #8a6d3b; } .hue4 { --hue: #4f7f96; }
.hue5 { --hue: #7a5d9e; } .hue6 { --hue: #68793e; } .hue7 { --hue: #a0593f; } .hue8 { --hue: #4a6b8a; } .hue9 { --hue: #7d5568; }

/* The frame: rooms beside one of them. */
.frame { display: grid; grid-template-columns: minmax(15rem, 20rem) minmax(0, 1fr); height: 100vh; height: 100dvh; }
.side { background: var(--side); border-right: 1px solid var(--line); display: flex; flex-direction: column; min-height: 0; }
.me { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 0.7rem; padding: 0.9rem 1rem 0.7rem; align-items: center; }
.me .avatar { grid-row: span 2; }
.me .nick { font-weight: 650; color: inherit; text-decoration: none; line-height: 1.3; }
.me .nick:hover { text-decoration: underline; }
summary { cursor: pointer; list-style: none; border-radius: 8px; }
summary::-webkit-details-marker { display: none; }
.status, .people { position: relative; }
.status summary { font-size: 0.88rem; color: var(--quiet); }
.status summary b { font-weight: 600; }
.dot { display: inline-block; width: 0.6rem; height: 0.6rem; border-radius: 50%; background: var(--idle); margin-right: 0.15rem; }
[data-state=public] .dot { background: var(--good); }
[data-state=asleep] .dot { background: var(--warn); }
.count { color: var(--warn); }
.panel {
  position: absolute; z-index: 5; top: calc(100% + 0.4rem); width: min(21rem, calc(100vw - 2rem)); padding: 0.9rem 1rem; display: grid; gap: 0.7rem;
  background: var(--card); border: 1px solid var(--line); border-radius: var(--r); box-shadow: var(--shadow); font-size: 0.92rem;
}
.status .panel { left: -2.9rem; }
.links li { padding: 0.25rem 0; color: var(--quiet); }
.links b { color: var(--text); }
.links .why { color: var(--warn); }
#rooms { flex: 1; overflow-y: auto; padding: 0.3rem 0.5rem; }
#rooms .none { padding: 0.5rem; }
#rooms a {
  display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 0.5rem; padding: 0.5rem 0.7rem; margin-bottom: 2px;
  border-radius: 10px; text-decoration: none; color: inherit;
}
#rooms a:hover { background: color-mix(in srgb, var(--card) 55%, transparent); }
#rooms a[aria-current] { background: var(--card); box-shadow: 0 1px 2px rgb(0 0 0 / 6%); }
#rooms .title { font-weight: 600; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
#rooms .last { grid-row: 2; color: var(--quiet); font-size: 0.88rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
#rooms .unread { grid-row: span 2; align-self: center; background: var(--accent); color: var(--on-accent); border-radius: 1rem; font-size: 0.78rem; font-weight: 700; padding: 0 0.5rem; }
.server { color: var(--quiet); font-weight: 450; font-size: 0.86em; }
.invitation { margin: 0.3rem 0.8rem; padding: 0.7rem 0.9rem; background: var(--soft); border-radius: var(--r); font-size: 0.92rem; grid-template-columns: 1fr auto; align-items: center; }
.acts { border-top: 1px solid var(--line); padding: 0.5rem 0.7rem calc(0.6rem + env(safe-area-inset-bottom)); }
.acts summary { padding: 0.45rem 0.5rem; color: var(--quiet); font-weight: 550; }
.acts summary:hover, .acts [open] summary { color: var(--text); }
.acts form { padding: 0.3rem 0.5rem 0.9rem; }

main { min-height: 0; min-width: 0; display: flex; flex-direction: column; }
.head { display: flex; align-items: center; gap: 0.8rem; padding: 0.7rem 1.2rem; border-bottom: 1px solid var(--line); min-height: 4rem; }
.head .what { flex: 1; min-width: 0; }
.head .what p { color: var(--quiet); font-size: 0.88rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.head h1 { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.back { display: none; color: inherit; padding: 0.5rem; margin-left: -0.6rem; border-radius: 9px; }
.people summary { padding: 0.4rem 0.7rem; color: var(--quiet); border: 1px solid var(--line); font-size: 0.92rem; }
.people .panel { right: 0; }
.people li { display: flex; gap: 0.6rem; align-items: center; padding: 0.2rem 0; }
.people li .avatar { width: 1.8rem; height: 1.8rem; font-size: 0.8rem; }
.people small { color: var(--quiet); }
.people ul { max-height: 40vh; overflow-y: auto; }
.address { display: flex; flex-wrap: wrap; gap: 0.4rem; align-items: center; }
.address button { min-height: 0; padding: 0.1rem 0.55rem; font-size: 0.82rem; }

#log { flex: 1; overflow-y: auto; padding: 1rem 1.2rem 0.6rem; overscroll-behavior: contain; outline-offset: -2px; }
#messages { max-width: 46rem; margin: 0 auto; display: flex; flex-direction: column; justify-content: flex-end; }
.older { text-align: center; font-size: 0.9rem; padding-bottom: 0.8rem; }
.empty { display: none; text-align: center; color: var(--quiet); margin-top: 22vh; }
#messages:not(:has(li)) + .empty { display: block; }
.message { display: flex; gap: 0.7rem; padding-top: 0.75rem; }
.message.same { padding-top: 0.15rem; }
.message.same .avatar { visibility: hidden; height: 0; }
.message.same .by { display: none; }
.said { min-width: 0; flex: 1; }
.by { font-size: 0.92rem; line-height: 1.35; }
.by time { color: var(--quiet); font-size: 0.8rem; margin-left: 0.2rem; }
.text { white-space: pre-wrap; }
.own .text, .own .attached { background: var(--own); }
.text { display: inline-block; padding: 0.3rem 0.75rem; background: var(--card); border-radius: 3px 14px 14px 14px; max-width: min(36rem, 100%); margin-top: 0.15rem; }
.own .avatar { order: 2; }
.said { padding-right: 2.95rem; }
.own .said { text-align: right; padding: 0 0 0 2.95rem; }
.own .text { border-radius: 14px 3px 14px 14px; text-align: left; }
.attached { display: inline-flex; gap: 0.5rem; align-items: center; padding: 0.5rem 0.8rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px; text-decoration: none; color: inherit; margin-top: 0.2rem; text-align: left; }
.attached small { color: var(--quiet); }
.attached.waits { color: var(--quiet); border-style: dashed; }
.picture img { max-width: min(22rem, 100%); max-height: 20rem; border-radius: 12px; display: inline-block; margin-top: 0.25rem; vertical-align: bottom; background: var(--card); min-height: 2rem; }
/* Most wait so shortly that nobody has to know. */
.state { color: var(--quiet); font-size: 0.8rem; animation: appear 0.2s 1.2s both; }
@keyframes appear { from { opacity: 0; } }
.failed .state { color: var(--warn); animation: none; }
.left-out { color: var(--quiet); font-size: 0.85rem; text-align: center; padding: 0.5rem; }

#composer { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 0.4rem; align-items: end; max-width: 48.4rem; width: 100%; margin: 0 auto; padding: 0.5rem 1.2rem calc(0.9rem + env(safe-area-inset-bottom)); }
#composer .trouble { grid-column: 1 / -1; }
#composer textarea { margin: 0; background: var(--card); resize: none; max-height: 40vh; field-sizing: content; min-height: 2.6rem; line-height: 1.45; border-radius: 1.3rem; padding: 0.55rem 1rem; }
#composer button, #composer .file { display: grid; place-items: center; width: 2.6rem; height: 2.6rem; padding: 0; border-radius: 50%; }
#composer .file { color: var(--quiet); cursor: pointer; position: relative; font-size: 1rem; }
#composer .file:hover { background: var(--side); color: var(--text); }
#composer .file:focus-within { outline: 2px solid var(--accent); }
#composer input[type=file] { position: absolute; width: 1px; height: 1px; opacity: 0; }
html:not(.scripted) #composer { grid-template-columns: minmax(0, 1fr) auto; }
html:not(.scripted) #composer .file { grid-column: 1 / -1; width: auto; height: auto; place-items: start; }
html:not(.scripted) #composer input[type=file] { position: static; width: auto; height: auto; opacity: 1; }
.busy button { opacity: 0.5; }

.start { margin: auto; text-align: center; color: var(--quiet); padding: 2rem; max-width: 30rem; display: grid; gap: 0.5rem; justify-items: center; }
.start .icon { width: 2.5rem; height: 2.5rem; color: var(--accent); stroke-width: 1.3; }
.start h1 { color: var(--text); font-size: 1.4rem; }
.settings { overflow-y: auto; padding: 1.2rem; max-width: 40rem; display: grid; gap: 0.8rem; align-content: start; }
.settings .row { justify-content: space-between; }
.settings h2 { margin-top: 0.8rem; }
.pins li { display: flex; align-items: center; gap: 0.8rem; padding: 0.2rem 0; }
.key { color: var(--quiet); overflow-wrap: anywhere; }

/* For everybody. */
.card { width: min(34rem, calc(100vw - 2rem)); margin: min(12vh, 6rem) auto 2rem; padding: clamp(1.2rem, 4vw, 2rem); background: var(--card); border: 1px solid var(--line); border-radius: 16px; display: grid; gap: 1rem; min-height: auto; }
.card h1 { font-size: 1.5rem; }
.card header { display: flex; gap: 1rem; align-items: center; }
.card header .avatar { width: 3.4rem; height: 3.4rem; font-size: 1.4rem; }
.about { white-space: pre-wrap; }
.open-rooms li { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; padding: 0.5rem 0; border-top: 1px solid var(--line); }
.open-rooms a { text-decoration: none; color: inherit; flex: 1; }
.open-rooms a:hover b { text-decoration: underline; }
.open-rooms b, .open-rooms span { display: block; }
.open-rooms span, .open-rooms code { color: var(--quiet); font-size: 0.9rem; }
.refusal .code { color: var(--quiet); font-size: 0.9rem; }
.reading main { height: 100vh; height: 100dvh; }
.reading .back { display: block; }
.read-only { text-align: center; color: var(--quiet); font-size: 0.9rem; padding: 0.8rem 1rem calc(0.9rem + env(safe-area-inset-bottom)); border-top: 1px solid var(--line); }

dialog { border: 1px solid var(--line); border-radius: 16px; background: var(--card); color: inherit; box-shadow: var(--shadow); width: min(27rem, calc(100vw - 2rem)); padding: 1.4rem; }
dialog::backdrop { background: rgb(0 0 0 / 35%); }
dialog h2 { font-size: 1.2rem; }

@media (max-width: 46rem) {
  .frame { grid-template-columns: minmax(0, 1fr); }
  .in-room .side, .inside .side { display: none; }
  .at-start main { display: none; }
  .side { border: 0; }
  .back { display: block; }
  .head { padding: 0.5rem 0.9rem; }
  #log { padding: 0.6rem 0.8rem; }
  #composer { padding: 0.4rem 0.7rem calc(0.6rem + env(safe-area-inset-bottom)); }
  .message .avatar { width: 1.9rem; height: 1.9rem; font-size: 0.85rem; }
  .own .avatar { display: none; }
  .said { padding-right: 1rem; }
}
`
