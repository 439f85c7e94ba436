// SPDX-License-Identifier: Apache-2.0
//
// The API of the same server, as far as the page asks it. A refusal becomes an error with the API's own words.

const version = 9;

export async function change(path, group, id, body) {
  const address = `${path}${version}/stream/upstreams/${encodeURIComponent(group)}/servers/${id}`;
  return ask(address, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/// `{ sessions, homes, faults }`.
export async function findClient(path, id) {
  return ask(`${path}weir/clients/${encodeURIComponent(id)}`);
}

async function ask(address, options = {}) {
  let response;
  try {
    response = await fetch(address, { ...options, signal: AbortSignal.timeout(10000) });
  } catch {
    throw new Error("Weir does not answer.");
  }
  const text = await response.text();
  let answer;
  try { answer = text ? JSON.parse(text) : {}; } catch { answer = {}; }
  if (!response.ok) throw new Error(answer?.error?.text ?? `${response.status} ${response.statusText}`);
  return answer;
}
