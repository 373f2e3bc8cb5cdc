"use strict";
// The page works without this script: it adds what happens while one looks on.
(() => {
  const keep = 200; // rows of the log
  const log = document.getElementById("log");
  const live = document.getElementById("live");

  // Times are rendered in the gateway's zone; the reader's is better.
  const pad = (n) => String(n).padStart(2, "0");
  function localTimes(root) {
    for (const time of root.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(pad).join(":");
      const day = [at.getFullYear(), pad(at.getMonth() + 1), pad(at.getDate())].join("-");
      time.textContent = time.dataset.form === "day" ? day + " " + clock : clock;
    }
  }

  function element(name, text, className) {
    const e = document.createElement(name);
    if (text !== undefined) e.textContent = text;
    if (className) e.className = className;
    return e;
  }

  function row(d) {
    const time = element("time");
    time.dateTime = d.time;
    time.dataset.form = "clock";
    const policy = element("td", d.policy + (d.route ? " " + d.route : "") + ": " + d.action);
    if (!d.applied) policy.append(" ", element("span", d.stage + ": not changed", "stage"));
    const changed = d.before && d.before !== d.after ? d.before + " \u2192 " : "";
    const cells = [element("td"), element("td"), element("td", changed + (d.after || "-")), policy, element("td", d.reason)];
    cells[0].append(time);
    cells[1].append(element("code", d.method + " " + d.path));
    const out = element("tr", undefined, d.applied ? "fresh" : "fresh reported");
    out.append(...cells);
    localTimes(out);
    return out;
  }

  // The rest of the page is rendered in one place only, by the server: take
  // its sections from a fresh copy. What somebody is working in stays.
  let refreshing = false;
  async function refresh() {
    if (refreshing || document.hidden) return;
    refreshing = true;
    try {
      const answer = await fetch(location.pathname + location.search, { redirect: "error" });
      if (!answer.ok) return;
      const copy = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.title = copy.title;
      for (const id of ["health", "stages", "uncertain"]) {
        const here = document.getElementById(id);
        const there = copy.getElementById(id);
        if (!here || !there || busy(here)) continue;
        localTimes(there);
        if (here.innerHTML !== there.innerHTML) here.replaceWith(document.adoptNode(there));
      }
    } catch {
      // The stream says that the gateway does not answer.
    } finally {
      refreshing = false;
    }
  }

  function busy(section) {
    return section.contains(document.activeElement) || [...section.querySelectorAll("input")].some((i) => i.value !== "");
  }

  function follow() {
    const stream = new EventSource("/api/v1/decisions/stream?after=" + encodeURIComponent(log.dataset.after));
    stream.onopen = () => { live.textContent = "live"; };
    stream.onerror = () => {
      live.textContent = "not connected, trying again";
      if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 5000); // an answer other than 200 ends it for good
    };
    stream.onmessage = (message) => {
      log.dataset.after = message.lastEventId;
      log.prepend(row(JSON.parse(message.data)));
      while (log.rows.length > keep) log.deleteRow(-1);
      document.getElementById("quiet").hidden = true;
    };
  }

  document.addEventListener("submit", (event) => {
    const released = event.submitter && event.submitter.value === "released";
    if (released && !confirm("The next request with this key will run it. Are you sure that it did not happen?")) event.preventDefault();
  });
  localTimes(document);
  setInterval(refresh, 5000);
  if (log) follow();
})();
