// SPDX-License-Identifier: Apache-2.0
//
// The little that the page needs to build and to change elements. Text is only ever set as text: what a client id or a
// broker's reason says can never become markup. What has not changed is not touched, so that a second with nothing new
// costs nothing and a screen reader hears nothing.

export const byId = (id) => document.getElementById(id);

/// `make("p", { class: "quiet" }, "text", child)`
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

const svg = "http://www.w3.org/2000/svg";

export function makeIcon(name) {
  const icon = document.createElementNS(svg, "svg");
  icon.setAttribute("class", "icon");
  icon.setAttribute("aria-hidden", "true");
  icon.append(document.createElementNS(svg, "use"));
  setIcon(icon, name);
  return icon;
}

export function setIcon(icon, name) {
  setAttribute(icon.firstElementChild, "href", `#icon-${name}`);
}

/// An empty live line, for `drawLine`.
export function makeLine(width, height) {
  const line = document.createElementNS(svg, "svg");
  line.setAttribute("class", "line");
  line.setAttribute("viewBox", `0 0 ${width} ${height}`);
  line.setAttribute("preserveAspectRatio", "none");
  line.setAttribute("aria-hidden", "true");
  for (const name of ["area", "stroke"]) {
    const path = document.createElementNS(svg, "path");
    path.setAttribute("class", name);
    line.append(path);
  }
  return line;
}

/// A list of names and values. Rows that are there are changed in place; `rows` has the same names each time.
export function setPairs(list, rows) {
  if (list.childElementCount !== rows.length) {
    list.replaceChildren(...rows.map(([name]) => make("div", {}, make("dt", {}, name), make("dd"))));
  }
  rows.forEach(([name, value], index) => {
    const [term, detail] = list.children[index].children;
    setText(term, name);
    setText(detail, value);
  });
}

/// A table of texts; the first column names the row.
export function setTable(table, titles, rows) {
  if (!table.tHead) {
    table.createTHead().append(make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title))));
    table.append(make("tbody"));
  }
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, index) => {
    let row = body.rows[index];
    if (!row) {
      row = make("tr", {}, ...cells.map((_, column) => (column === 0 ? make("th", { scope: "row" }) : make("td"))));
      body.append(row);
    }
    cells.forEach((cell, column) => setText(row.cells[column], cell));
  });
}
