"""The common style sheet of all pages, and the lines of script that sort their tables.

Pages contain both, so that a page is one file that needs no network. Colours are variables with a
light and a dark value; the colours of series follow the palette of Okabe and Ito, which readers
with any colour vision can distinguish.
"""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fcfcfb; --raised: #ffffff; --ink: #1c2024; --soft: #60666d; --line: #e3e5e8;
  --s0: #0072b2; --s1: #c2571a; --s2: #7d4e94; --s3: #4a7a1f; --fused: #00795a;
  --right: #4a5560; --good: #00795a; --wrong: #c8321f; --track: #eff0f2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15181b; --raised: #1c2024; --ink: #e8eaec; --soft: #9aa2aa; --line: #31373d;
    --s0: #62b6ea; --s1: #f0945a; --s2: #c79bdc; --s3: #9ccc65; --fused: #3ecf9f;
    --right: #aab4be; --good: #3ecf9f; --wrong: #ff7a66; --track: #262b30;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans",
    Arial, sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; letter-spacing: -.015em; }
h2 { font-size: 1.15rem; margin: 3.2rem 0 .4rem; letter-spacing: -.005em; }
h3 { font-size: .95rem; margin: 1.4rem 0 .4rem; }
p { margin: .3rem 0 1rem; max-width: 44rem; }
.soft, figcaption { color: var(--soft); }
.lead { font-size: 1.05rem; color: var(--soft); margin: .4rem 0 0; }
small { font-size: .82rem; }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  font-size: .82rem; }
.s0 { --series: var(--s0); } .s1 { --series: var(--s1); } .s2 { --series: var(--s2); }
.s3 { --series: var(--s3); }
.c0 { --series: var(--soft); } .c1 { --series: var(--s2); } .c2 { --series: var(--s3); }
.fused { --series: var(--fused); }

.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem;
  margin: 2rem 0 0; }
.card { background: var(--raised); border: 1px solid var(--line); border-radius: .6rem;
  border-top: 3px solid var(--series); padding: 1rem 1.2rem 1.1rem; }
.card .name { font-weight: 600; }
.card .figure { font-size: 2.5rem; line-height: 1.15; font-weight: 650; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.card .figure span { font-size: 1.3rem; font-weight: 500; color: var(--soft); margin-left: .1em; }
.track { position: relative; height: .55rem; background: var(--track); border-radius: .3rem;
  margin: .7rem 0 .5rem; }
.track i { position: absolute; top: 0; bottom: 0; border-radius: .3rem; background: var(--series);
  opacity: .35; }
.track b { position: absolute; top: -.2rem; bottom: -.2rem; width: 3px; margin-left: -1.5px;
  border-radius: 2px; background: var(--series); }

.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .42rem .9rem .42rem 0; border-bottom: 1px solid var(--line);
  vertical-align: baseline; }
th { font-weight: 600; } thead th { white-space: nowrap; }
thead th { color: var(--soft); font-size: .82rem; vertical-align: bottom; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.best { font-weight: 700; }
.dense { font-size: .8rem; } .dense thead th { font-size: .78rem; }
.dense th, .dense td { padding-right: .5rem; } .dense td:first-child { white-space: nowrap; }
.dense th:last-child, .dense td:last-child { padding-right: 0; }
tbody tr:last-child > * { border-bottom: 0; }
.key::before { content: ""; display: inline-block; width: .65em; height: .65em; margin-right: .5em;
  border-radius: 50%; background: var(--series); }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--s0); outline-offset: 2px; border-radius: 2px; }
th button::after { content: "\\2195"; margin-left: .3em; opacity: .45; }
.dense th button::after { margin-left: .15em; }
th[aria-sort=ascending] button::after { content: "\\2191"; opacity: 1; }
th[aria-sort=descending] button::after { content: "\\2193"; opacity: 1; }
.card small { display: block; }
td .videos { overflow-wrap: anywhere; color: var(--soft); }
td.bar { min-width: 5.5rem; }
td.bar .track { margin: 0; height: .5rem; display: block; }
td.bar .track i { opacity: 1; left: 0; }

.stack { display: flex; height: 1.5rem; border-radius: .35rem; overflow: hidden; gap: 2px;
  margin: .6rem 0; }
.stack span { background: var(--series); min-width: 2px; }
.stack .both { background: var(--right); } .stack .neither { background: var(--track); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; font-size: .9rem; margin: 0;
  padding: 0; list-style: none; }
.legend .both { --series: var(--right); } .legend .neither { --series: var(--line); }

.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1rem;
  margin: .8rem 0 0; padding: 0; list-style: none; }
.viewer #clips h2 { margin: 1.8rem 0 .2rem; }
.clips li { background: var(--raised); border: 1px solid var(--line); border-radius: .6rem;
  overflow: hidden; }
.clips a { color: inherit; text-decoration: none; display: block; }
.clips a:hover .name { text-decoration: underline; }
.clips img { width: 100%; aspect-ratio: 4 / 3; object-fit: cover; display: block;
  background: var(--track); }
.clips .text { padding: .55rem .8rem .7rem; font-size: .82rem; color: var(--soft); }
.clips .name { color: var(--ink); font-weight: 600; overflow-wrap: anywhere; }

figure { margin: .8rem 0; }
figcaption { font-size: .88rem; margin-top: .3rem; }
svg { display: block; }
.heat svg { max-width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 11px; }
svg .ink { fill: var(--ink); }
svg .grid { stroke: var(--line); stroke-width: 1; fill: none; }
svg .right { fill: var(--right); } svg .wrong { fill: var(--wrong); }
svg .count { text-anchor: middle; fill: var(--ink); }
svg .deep { fill: var(--page); }
svg .line { fill: none; stroke: var(--series); stroke-width: 2; stroke-linejoin: round;
  stroke-linecap: round; }
svg .dot { fill: var(--series); }
svg .best { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 3 3; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(15.5rem, 1fr));
  gap: 1rem 1.5rem; }
.curves svg { width: 100%; height: auto; }

dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .15rem 1.2rem;
  margin: 0; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
dd > dl { margin: .1rem 0 .4rem; }
summary { cursor: pointer; color: var(--soft); margin: .8rem 0; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .85rem; }

.forest { margin: .8rem 0; }
.forest .row { display: grid; grid-template-columns: 11rem 1fr 3.2rem; gap: .8rem;
  align-items: center; font-size: .9rem; padding: .12rem 0; }
.forest .track { margin: 0; } .forest .n { text-align: right;
  font-variant-numeric: tabular-nums; }
.forest .track s { position: absolute; top: -.55rem; bottom: -.55rem; border-left: 2px dashed
  var(--wrong); }
.forest .scale { position: relative; height: 1.2em; font-size: .78rem; color: var(--soft); }
.forest .scale span { position: absolute; transform: translateX(-50%); white-space: nowrap; }

@media (max-width: 34rem) {
  .forest .row { grid-template-columns: 1fr 3rem; gap: 0 .6rem; padding: .3rem 0; }
  .forest .row > :first-child { grid-column: 1 / -1; }
  .wide { display: none; }
  .clips { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .7rem; }
  .forest .scale.above { height: 2.4em; }
  .forest .scale.above span:nth-child(even) { top: 1.2em; }
  .sortable { font-size: .8rem; } .sortable thead th { font-size: .7rem; }
  .sortable th, .sortable td { padding-right: .35rem; }
  .sortable th:not([aria-sort]) button::after { content: none; }
  .sortable .key::before { margin-right: .25em; }
  main { padding: 1.8rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .cards { grid-template-columns: 1fr; gap: .7rem; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .35rem; }
  th, td { padding-right: .6rem; } th:last-child, td:last-child { padding-right: 0; }
  .measures { font-size: .8rem; } .measures td.n { white-space: normal; width: 22%; }
  .measures th { padding-right: .35rem; }
  .pairs thead { display: none; }
  .pairs tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  .pairs td { display: inline; border: 0; padding: 0; }
  .pairs td:first-child::after { content: "\\00a0\\2192\\00a0 "; color: var(--soft); }
  .pairs td.n::before { content: "\\00a0 \\00d7"; color: var(--soft); }
  .pairs td:last-child { display: block; }
  dd > dl { padding-left: .8rem; border-left: 2px solid var(--line); }
}
@media print {
  :root {
    color-scheme: light;
    --page: #ffffff; --raised: #ffffff; --ink: #000000; --soft: #444444; --line: #cccccc;
    --s0: #0072b2; --s1: #c2571a; --s2: #7d4e94; --s3: #4a7a1f; --fused: #00795a;
    --right: #4a5560; --good: #00795a; --wrong: #c8321f; --track: #eeeeee;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  .cards { grid-template-columns: repeat(3, 1fr); }
  h2, h3 { break-after: avoid; }
  tr, figure, .card { break-inside: avoid; }
  .scroll { overflow: visible; }
  .heat svg { min-width: 0 !important; }
  th button::after { content: none; }
}
"""

SCRIPT = """
for (const head of document.querySelectorAll("table.sortable thead th:not(:empty)")) {
  const button = document.createElement("button");
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const value = row => row.children[head.cellIndex].dataset.value;
    const order = (a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const by = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? by : -by;
    };
    body.append(...[...body.rows].sort(order));
  });
}
"""
