"use strict";
// Light and dark: the system's choice until the reader presses the button.

const systemDark = window.matchMedia("(prefers-color-scheme: dark)");

function themeName() {
  if (matchMedia("print").matches) return "light";
  return document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light");
}

function announceTheme() {
  const button = document.querySelector(".theme");
  if (button) button.textContent = themeName() === "dark" ? "Light" : "Dark";
  document.dispatchEvent(new Event("themechange"));
}

document.addEventListener("click", (event) => {
  if (!event.target.closest(".theme")) return;
  document.documentElement.dataset.theme = themeName() === "dark" ? "light" : "dark";
  announceTheme();
});
systemDark.addEventListener("change", announceTheme);
document.addEventListener("DOMContentLoaded", announceTheme);
