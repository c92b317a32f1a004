"use strict";
// The index of many clips: sort, group by class, and filter by name.

const list = document.getElementById("clips"), all = [...list.querySelectorAll("li.clip")];
const order = document.getElementById("order"), filter = document.getElementById("filter");
const grouped = document.getElementById("grouped"), count = document.getElementById("count");
const LEVELS = { bad: 0, check: 1, good: 2 };

function compare(key) {
  if (key === "name") return (a, b) => a.dataset.name.localeCompare(b.dataset.name, "en", { numeric: true });
  if (key === "verdict")
    return (a, b) => LEVELS[a.dataset.verdict] - LEVELS[b.dataset.verdict] || b.dataset.error - a.dataset.error;
  return (a, b) => b.dataset[key] - a.dataset[key];
}

function arrange() {
  const wanted = filter.value.toLowerCase();
  const shown = all.filter(clip => clip.dataset.name.toLowerCase().includes(wanted));
  shown.sort(compare(order.value));
  const classes = grouped.checked ? [...new Set(shown.map(clip => clip.dataset.class))].sort() : [""];
  list.replaceChildren(...classes.flatMap(name => {
    const members = shown.filter(clip => !name || clip.dataset.class === name);
    const title = document.createElement("h2"), part = document.createElement("ul");
    title.textContent = `${name} (${members.length})`; title.hidden = !name;
    part.className = "clips"; part.append(...members);
    return [title, part];
  }));
  count.textContent = `${shown.length} of ${all.length} clips`;
}

for (const control of [order, filter, grouped]) control.addEventListener("input", arrange);
arrange();
