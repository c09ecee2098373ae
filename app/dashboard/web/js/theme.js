// The viewer's choice of light or dark is set before the first paint; without one the system's rules.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // storage is forbidden: the system's choice rules
}
