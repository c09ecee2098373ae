// The account that the strips and pages are about: chosen once, remembered in this browser.

import { live } from "../live.js";

const listeners = new Set();
let chosen = null;

function stored() {
  try {
    return localStorage.getItem("account");
  } catch {
    return null;
  }
}

/** The account's name; the first one unless another was chosen; null where there is none. */
export function account() {
  const names = [...live.accounts.keys()];
  if (names.includes(chosen)) return chosen;
  const before = stored();
  return names.includes(before) ? before : (names[0] ?? null);
}

/** Choose an account. */
export function choose(name) {
  if (name === account() && chosen === name) return;
  chosen = name;
  try {
    localStorage.setItem("account", name);
  } catch {
    // it is forgotten with the tab
  }
  for (const listener of [...listeners]) listener(name);
}

/** Call a function whenever another account is chosen; the function returned ends that. */
export function onChoice(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
