// Before anything is painted: the theme that was chosen here.
(() => {
  try {
    const chosen = localStorage.getItem("causa-theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch { /* A browser that keeps nothing follows its system. */ }
})();
