// SPDX-License-Identifier: Apache-2.0
//
// Whether everybody can use a page: what Chromium tells a screen reader (its accessibility tree, computed by itself),
// and what eyes get (contrast as WCAG 2.2 defines it, sizes of what is touched, words beside colours).

import TestSupport

extension Browser {
    /// What is wrong, in words; empty when nothing is.
    func accessibilityFaults() throws -> [String] { try namelessParts() + missingLandmarks() + visualFaults() }

    /// What one may operate or jump to must have a name.
    private func namelessParts() throws -> [String] {
        let needName: Set<String> = [
            "button", "link", "searchbox", "textbox", "spinbutton", "radio", "main", "complementary", "dialog", "table",
            "region", "group", "img",
        ]
        return try accessibilityTree().filter { needName.contains($0.role) && $0.name.isEmpty }
            .map { "a \($0.role) has no name" }
    }

    private func missingLandmarks() throws -> [String] {
        let roles = Set(try accessibilityTree().map(\.role))
        // What lies behind an open dialog is not there for anybody.
        let isDialog: Bool = try value("document.querySelector('dialog[open]') !== null")
        let needed =
            isDialog
            ? ["dialog", "heading", "button"]
            : ["banner", "main", "complementary", "contentinfo", "search", "heading", "list"]
        return needed.filter { !roles.contains($0) }.map { "there is no \($0)" }
    }

    private func visualFaults() throws -> [String] { try value(Self.audit) }

    /// Runs in the page. Surfaces with a picture behind them (the top's water) are taken at their darkest and lightest.
    private static let audit = """
        (() => {
          const faults = [];
          const say = (text, element) => faults.push(`${text}: ${element.outerHTML.slice(0, 120)}`);
          const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const rgba = (colour) => {
            pixel.clearRect(0, 0, 1, 1);
            pixel.fillStyle = colour;
            pixel.fillRect(0, 0, 1, 1);
            return [...pixel.getImageData(0, 0, 1, 1).data].map((value, index) => index === 3 ? value / 255 : value);
          };
          const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
          const light = ([r, g, b]) => {
            const [x, y, z] = [r, g, b].map((value) => value / 255)
              .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
            return 0.2126 * x + 0.7152 * y + 0.0722 * z;
          };
          const contrast = (one, other) => {
            const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
            return (high + 0.05) / (low + 0.05);
          };
          const root = getComputedStyle(document.documentElement);
          const named = (name) => rgba(root.getPropertyValue(name));
          const water = (ground) => over([...named("--water-2").slice(0, 3), 0.3],
            over([...named("--water-1").slice(0, 3), 0.35], ground));
          const surfaces = (element) => {
            const layers = [];
            for (let at = element; at; at = at.parentElement) {
              const style = getComputedStyle(at);
              if (at.matches(".top")) {
                const grounds = [named("--deep-1"), named("--deep-2"), water(named("--deep-2"))];
                return grounds.map((ground) => layers.reduceRight((below, layer) => over(layer, below), ground));
              }
              const colour = rgba(style.backgroundColor);
              if (colour[3] > 0) layers.push(colour);
              if (colour[3] === 1) break;
            }
            return [layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1])];
          };
          const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
            && !element.closest(".unseen, .skip, noscript, script, style, title");
          const open = [...document.querySelectorAll("dialog[open]")].at(-1);

          const walk = document.createTreeWalker(open ?? document.body, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {
            const element = walk.currentNode.parentElement;
            if (!walk.currentNode.data.trim() || !isShown(element) || element.closest(":disabled")) continue;
            const style = getComputedStyle(element);
            const size = parseFloat(style.fontSize);
            const isLarge = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
            for (const surface of surfaces(element)) {
              const ratio = contrast(over(rgba(style.color), surface), surface);
              if (ratio < (isLarge ? 3 : 4.5)) { say(`contrast ${ratio.toFixed(2)}`, element); break; }
            }
          }
          for (const icon of (open ?? document).querySelectorAll(".icon")) {
            if (!isShown(icon)) continue;
            for (const surface of surfaces(icon.parentElement)) {
              if (contrast(rgba(getComputedStyle(icon).color), surface) < 3) { say("icon's contrast", icon); break; }
            }
          }
          for (const part of (open ?? document).querySelectorAll("button, input, a[href]")) {
            const box = part.getBoundingClientRect();
            if (isShown(part) && part.type !== "radio" && (box.width < 24 || box.height < 24)) say("too small", part);
          }
          for (const tile of document.querySelectorAll(".tile")) {
            const word = tile.querySelector(".tile-state span").textContent;
            if (!word || !tile.querySelector(".tile-state use").getAttribute("href")) say("state by colour only", tile);
            if (!tile.getAttribute("aria-label").includes(word)) say("state is not said", tile);
          }
          const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
          ids.filter((id, index) => ids.indexOf(id) !== index).forEach((id) => faults.push(`two have the id ${id}`));
          for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
            const names = `${element.getAttribute("aria-labelledby") ?? ""} ${element.getAttribute("aria-describedby") ?? ""}`;
            names.split(" ").filter((id) => id && !document.getElementById(id)).forEach(() => say("names nothing", element));
          }
          let level = 0;
          for (const heading of document.querySelectorAll("h1, h2, h3")) {
            if (!isShown(heading) || heading.closest("dialog")) continue;
            const next = Number(heading.tagName[1]);
            if (next > level + 1) say("a level of headings is left out", heading);
            level = next;
          }
          if (!document.documentElement.lang) faults.push("the page has no language");
          return faults;
        })()
        """
}
