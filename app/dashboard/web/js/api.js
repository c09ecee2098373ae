// Questions to the server in; its JSON, or a sentence that says what is wrong, out.

/** An answer that was a refusal. */
export class ApiError extends Error {
  constructor(status, sentence, part) {
    super(sentence);
    this.status = status;
    this.part = part ?? null;
  }
}

/** The address of a route with parameters; those that are null, undefined or empty are left out. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * Ask for JSON.
 * @throws {ApiError} for every answer that is not 2xx, and where nobody answers (status 0)
 */
export async function get(path, parameters, signal) {
  return answer(address(path, parameters), { signal });
}

/** Send JSON; the answer is null where it has no body. */
export async function post(path, body) {
  return answer(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });
}

async function answer(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The dashboard does not answer: see whether `lockstep dashboard` still runs.");
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  if (response.status === 401) dispatchEvent(new Event("signed-out"));
  throw new ApiError(response.status, body?.error ?? words(response.status), body?.part);
}

function words(status) {
  return `The server answered ${status} and no reason; its log has more.`;
}
