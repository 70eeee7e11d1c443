// Calls of the document object. A refusal carries a sentence for people in `detail`.

/** Reads without changing anything. */
export function read(address, method, query = {}) {
  return answer(fetch(`${address}/${method}?${new URLSearchParams(query)}`));
}

/** Has something happen. */
export function call(address, method, body) {
  const headers = { "Content-Type": "application/json" };
  return answer(fetch(`${address}/${method}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answer(request) {
  const response = await request.catch(() => {
    throw new Error("The server cannot be reached.");
  });
  const content = await response.json().catch(() => null);
  if (!response.ok) throw new Error(content?.detail ?? `The server answered ${response.status}.`);
  return content;
}
