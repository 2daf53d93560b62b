(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Theme: the system's, or the reader's choice, kept where the browser permits.
  const button = document.getElementById("theme");
  const themes = ["system", "light", "dark"];
  const remembered = (() => { try { return localStorage.getItem("longhaul-theme"); } catch { return null; } })();
  let theme = themes.includes(remembered) ? remembered : "system";
  const setTheme = (next) => {
    theme = next;
    if (theme === "system") root.removeAttribute("data-theme"); else root.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    try { localStorage.setItem("longhaul-theme", theme); } catch { /* it then lasts for this page */ }
  };
  button.hidden = false;
  button.addEventListener("click", () => setTheme(themes[(themes.indexOf(theme) + 1) % themes.length]));
  setTheme(theme);

  // Exact values under the pointer: marks bring them as titles, which browsers show late.
  const tip = document.getElementById("tip");
  let marked = null;
  for (const mark of all(".h")) {
    const title = mark.querySelector("title");
    mark.dataset.value = title.textContent;
    title.remove();
  }
  const unmark = () => { marked?.classList.remove("on"); marked = null; tip.hidden = true; };
  const show = (event) => {
    const mark = event.target.closest?.(".h");
    if (!mark) return unmark();
    if (marked !== mark) { unmark(); marked = mark; mark.classList.add("on"); }
    tip.textContent = mark.dataset.value;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const x = Math.min(event.clientX + 14, innerWidth - width - 8);
    const y = event.clientY + 18 + height > innerHeight ? event.clientY - height - 14 : event.clientY + 18;
    tip.style.left = `${Math.max(4, x)}px`;
    tip.style.top = `${Math.max(4, y)}px`;
  };
  for (const chart of all("figure svg")) {
    chart.addEventListener("pointermove", show);
    chart.addEventListener("pointerdown", show);
    chart.addEventListener("pointerleave", unmark);
  }
  addEventListener("scroll", unmark, { passive: true });

  // Tables: a click on a heading sorts, a second one reverses. Sorting is stable.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
  };
  const sort = (table, column) => {
    const heading = table.tHead.rows[0].cells[column];
    const falling = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
    rows.sort(([a], [b]) => (typeof a === "number" ? a - b : a.localeCompare(b)) * (falling ? -1 : 1));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of all("table")) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const sorter = document.createElement("button");
      sorter.type = "button";
      sorter.textContent = heading.textContent;
      sorter.addEventListener("click", () => sort(table, column));
      heading.replaceChildren(sorter);
    });
  }
  const filter = document.getElementById("filter");
  const figures = document.getElementById("all");
  const applyFilter = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of figures.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  };
  filter.closest("p").hidden = false;
  filter.addEventListener("input", applyFilter);

  // Paper has no clicks: what is folded away is opened for it.
  addEventListener("beforeprint", () => { for (const one of all("details")) one.open = true; });

  // Downloads: the data lies in this page.
  const download = (kind, file) => {
    const text = document.getElementById(kind === "figures" ? "figures-csv" : kind).textContent;
    const [content, type, name] = kind === "figures"
      ? [JSON.parse(text), "text/csv", "figures.csv"]
      : [`${JSON.stringify(JSON.parse(text), null, 2)}\n`, "application/json", "summary.json"];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = file ?? name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    return content;
  };
  for (const one of all("[data-download]")) {
    one.closest("p").hidden = false;
    one.addEventListener("click", () => download(one.dataset.download, one.dataset.file));
  }

  // #light and #dark set the theme of a page opened so, for pictures of it.
  if (location.hash === "#light" || location.hash === "#dark") root.dataset.theme = location.hash.slice(1);

  // With #selftest the page tries its own controls and states what failed.
  if (location.hash !== "#selftest") return;
  const failures = [];
  const check = (what, holds) => { if (!holds) failures.push(what); };
  try {
    const column = [...figures.tHead.rows[0].cells].findIndex((cell) => cell.textContent === "p50");
    const ordered = (sign) => [...figures.tBodies[0].rows].every((row, index, rows) =>
      index === 0 || sign * (valueOf(row, column) - valueOf(rows[index - 1], column)) >= 0);
    const press = () => figures.tHead.rows[0].cells[column].querySelector("button").click();
    press();
    check("sort ascending", ordered(1));
    press();
    check("sort descending", ordered(-1));
    filter.value = "no such row";
    applyFilter();
    check("filter hides", [...figures.tBodies[0].rows].every((row) => row.hidden));
    filter.value = "";
    applyFilter();
    check("filter shows", [...figures.tBodies[0].rows].every((row) => !row.hidden));
    const mark = document.querySelector(".h");
    mark.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 40, clientY: 40 }));
    check("hover", !tip.hidden && tip.textContent === mark.dataset.value && tip.textContent.length > 5);
    unmark();
    const paper = () => getComputedStyle(document.body).backgroundColor;
    setTheme("light");
    const light = paper();
    setTheme("dark");
    check("themes differ", light !== paper());
    setTheme("system");
    const summary = JSON.parse(document.getElementById("summary").textContent);
    check("summary", Array.isArray(summary.modes));
    check("figures", JSON.parse(document.getElementById("figures-csv").textContent).startsWith("mode,"));
    const wide = all("body *").filter((one) => !one.closest(".scroll,svg,#tip"))
      .some((one) => one.getBoundingClientRect().right > innerWidth + 1);
    check("nothing is wider than the window", !wide);
  } catch (error) {
    failures.push(String(error));
  }
  root.dataset.selftest = failures.length === 0 ? "passed" : `failed: ${failures.join(", ")}`;
})();
