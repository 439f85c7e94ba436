// SPDX-License-Identifier: Apache-2.0
//
// Live lines: the last minutes of one number, newest at the right edge.

import { setAttribute } from "./dom.js";

/// A young line is stretched: one that has only begun would hide in the corner.
const pointsMin = 8;

/// Into an svg of `makeLine`. Zero stands at the bottom, the largest value just below the top.
export function drawLine(line, values = []) {
  const { width, height } = line.viewBox.baseVal;
  const [area, stroke] = line.querySelectorAll("path");
  const points = place(values, width, height - 3, 2);
  const path = points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  setAttribute(stroke, "d", points.length > 1 ? path : "");
  setAttribute(area, "d", points.length > 1 ? `${path}L${width} ${height}L${points[0][0].toFixed(1)} ${height}Z` : "");
}

/// A soft surface over the whole width, for the water behind the top. Without values it lies flat.
export function drawWave(path, values, width, height, share) {
  // Averages, so that a single burst is a swell and no spike, and about thirty of them.
  const pace = Math.max(1, Math.floor(values.length / 30));
  const calm = [];
  for (let index = 0; index < values.length; index += pace) {
    const some = values.slice(Math.max(0, index - 2 * pace), index + pace);
    calm.push(some.reduce((sum, value) => sum + value, 0) / some.length);
  }
  while (calm.length < 2) calm.push(0);
  const top = Math.max(...calm, 1e-9);
  const step = width / (calm.length - 1);
  const y = (value) => height - height * share * (0.25 + 0.75 * (value / top));
  let text = `M0 ${height}L0 ${y(calm[0]).toFixed(1)}`;
  for (let index = 1; index < calm.length; index += 1) {
    const middle = ((index - 0.5) * step).toFixed(1);
    const [from, to] = [y(calm[index - 1]).toFixed(1), y(calm[index]).toFixed(1)];
    text += `C${middle} ${from} ${middle} ${to} ${(index * step).toFixed(1)} ${to}`;
  }
  setAttribute(path, "d", `${text}L${width} ${height}Z`);
}

function place(values, width, height, margin) {
  const top = Math.max(...values, 1e-9);
  const step = width / (Math.max(pointsMin, values.length) - 1);
  const start = width - (values.length - 1) * step;
  return values.map((value, index) => [start + index * step, height - (height - margin) * (value / top)]);
}
