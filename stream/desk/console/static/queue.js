// The queue's list by arrows; Enter takes the certificate, as it does everywhere on a button.
const buttons = () => [...document.querySelectorAll("#tasks th button:not([disabled])")];

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  const start = document.getElementById("start"), all = [start, ...buttons()];
  const at = all.indexOf(document.activeElement);
  if (at < 0) return;
  const next = { ArrowDown: all[at + 1], ArrowUp: all[at - 1] }[event.key];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: "nearest" });
});
