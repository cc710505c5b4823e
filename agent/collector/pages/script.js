"use strict";
(() => {
  const rows = () => [...document.querySelectorAll("tr[data-row]")];
  const live = document.querySelector("[data-live]");

  // Keys: never while something is being typed.
  let at = -1;
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    all[at]?.classList.remove("here");
    at = Math.max(0, Math.min(all.length - 1, at + by));
    all[at].classList.add("here");
    const link = all[at].querySelector("a");
    if (link) link.focus({preventScroll: true});
    all[at].scrollIntoView({block: "nearest"});
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "Escape" && typing) typing.blur();
    if (typing) return;
    const pages = {1: "/events", 2: "/agents", 3: "/destinations", 4: "/rejects"};
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "l" && live) live.click();
    else if (pages[event.key]) location.assign(pages[event.key]);
  });

  // Back to the list as it was searched.
  const back = document.querySelector("[data-back]");
  if (back && document.referrer.startsWith(location.origin + back.getAttribute("href"))) {
    back.addEventListener("click", (event) => { event.preventDefault(); history.back(); });
  }

  // Live: new lines on top, while somebody looks.
  if (!live) return;
  const body = document.querySelector("[data-rows]");
  const status = document.querySelector("[data-status]");
  const most = 500, every = 2000;
  let after = live.dataset.after, on = false, timer = 0, arrived = 0;
  const look = async () => {
    clearTimeout(timer);
    if (!on || document.hidden) return;
    try {
      const answer = await fetch(live.dataset.live + "&after=" + after, {redirect: "error"});
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(answer.status);
      after = answer.headers.get("X-Newest");
      const count = Number(answer.headers.get("X-Count"));
      if (count) {
        const before = rows().length;
        // Made by the same template as the page: escaped by the server, and the page's policy runs no inline script.
        body.insertAdjacentHTML("afterbegin", await answer.text());
        rows().slice(0, rows().length - before).forEach((row) => row.classList.add("new"));
        if (at >= 0) at += count;
        rows().slice(most).forEach((row) => row.remove());
        document.querySelector("[data-empty]")?.remove();
        arrived += count;
      }
      status.textContent = arrived ? arrived + " new" : "waiting for events";
    } catch (error) {
      status.textContent = "no answer; trying again";
    }
    timer = setTimeout(look, every);
  };
  const turn = (to) => {
    on = to;
    live.setAttribute("aria-pressed", String(on));
    status.textContent = on ? "waiting for events" : "";
    look();
  };
  live.hidden = false;
  live.addEventListener("click", () => turn(!on));
  document.addEventListener("visibilitychange", look);
  turn(true);
})();
