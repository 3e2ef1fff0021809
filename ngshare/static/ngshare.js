// What makes the pages pleasant; without it they work, too.
"use strict";

// ---- light or dark, as the Hub's own pages have it ----

const THEME = "jupyterhub-bs-theme";
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

function storedTheme() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null;
  }
}

function showTheme() {
  const stored = storedTheme();
  const theme = ["light", "dark"].includes(stored) ? stored : prefersDark.matches ? "dark" : "light";
  document.documentElement.dataset.bsTheme = theme;
}

showTheme();
prefersDark.addEventListener("change", showTheme);

// ---- times in the reader's zone; their title has UTC ----

const minutes = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function showTimes() {
  for (const element of document.querySelectorAll("time")) {
    element.textContent = minutes.format(new Date(element.dateTime));
  }
}

// ---- buttons that copy the text of a field ----

function offerCopying() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
      } catch {
        document.execCommand("copy"); // where there is no https
      }
      button.textContent = "Copied";
    });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  showTimes();
  offerCopying();
  const toggle = document.getElementById("theme");
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const dark = document.documentElement.dataset.bsTheme === "dark";
    localStorage.setItem(THEME, dark ? "light" : "dark");
    showTheme();
  });
});
